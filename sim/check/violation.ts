/** A promise was broken: the system gave a wrong answer or holds wrong data. */
export class Violation extends Error {
  override readonly name = 'Violation';
}
