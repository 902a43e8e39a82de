/**
 * When the coordinator's thread looks whether other processes have changed something: often while changes come, rarely
 * where writes are announced, but for a time after one, since it is announced before its transaction ends. A look costs
 * 0.1 to 0.15 ms of CPU, half of it for waking up. All times are milliseconds.
 */
const activeMs = 2;
const idleMs = 14;
const announcedMs = 250;
const unwatchedMs = 1_000;
const activeForMs = 50;
const writingForMs = 1_000;
/** Changes found one after another without an announcement: then none is relied on any more. */
const unannouncedMax = 3;

export class LookPace {
  #isForced = true;
  #dueMs = 0;
  #activeUntilMs = 0;
  #areAnnounced = false;
  #writingUntilMs = 0;
  #unannounced = 0;

  /** When the next look is due. */
  get dueMs(): number {
    return this.#isForced ? 0 : this.#dueMs;
  }

  /** Whether the next look has something to tell although no other process changed anything. */
  get isForced(): boolean {
    return this.#isForced;
  }

  /** A watch has come, or this process has changed something. */
  mustLook(): void {
    this.#isForced = true;
  }

  /** Somebody believes that there is a change. */
  hinted(): void {
    this.#dueMs = 0;
  }

  /** From now on writes of other processes are announced by `written`, or not any more. */
  announced(areAnnounced: boolean): void {
    this.#areAnnounced = areAnnounced;
    this.#dueMs = 0;
  }

  written(nowMs: number): void {
    this.#unannounced = 0;
    this.#writingUntilMs = nowMs + writingForMs;
    this.#dueMs = 0;
    this.active(nowMs);
  }

  /** Changes come now: others may follow. */
  active(nowMs: number): void {
    this.#activeUntilMs = nowMs + activeForMs;
  }

  /** A change of another process was found. `unannounced`: announcements have turned out not to come. */
  foundChange(nowMs: number): 'expected' | 'unannounced' {
    if (!this.#areAnnounced || nowMs < this.#writingUntilMs) return 'expected';
    this.#unannounced += 1;
    if (this.#unannounced < unannouncedMax) return 'expected';
    this.#areAnnounced = false;
    return 'unannounced';
  }

  looked(nowMs: number, isWatched: boolean): void {
    this.#isForced = false;
    this.#dueMs = nowMs + this.#pauseMs(nowMs, isWatched);
  }

  /** The look failed: the next one tells everything. */
  failed(nowMs: number): void {
    this.#isForced = false;
    this.#dueMs = nowMs + idleMs;
  }

  #pauseMs(nowMs: number, isWatched: boolean): number {
    if (!isWatched) return unwatchedMs;
    if (nowMs < this.#activeUntilMs) return activeMs;
    return this.#areAnnounced && nowMs >= this.#writingUntilMs ? announcedMs : idleMs;
  }
}
