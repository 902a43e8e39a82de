import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silent } from '../../src/base/log.ts';
import { openSqliteCoordinator } from '../../src/coordinator/sqlite.ts';
import { RealClock } from '../../src/env/real/clock.ts';
import { coordinatorConformance } from './conformance.ts';

coordinatorConformance('sqlite', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'kv-filelog-coordinator-'));
  const options = { file: join(folder, 'coordinator.db'), clock: new RealClock(), log: silent };
  return { client: () => openSqliteCoordinator(options), close: () => rm(folder, { recursive: true }) };
});
