/** Deliberate faults in the upkeep of copies: the scrub, loggers that drain, and loggers that are lost. */
import type { Mutant } from './mutant.ts';

const departures = 'src/core/shard/repairing/departures.js';
const repairer = 'src/core/shard/repairing/repairer.js';
const loggers = 'src/core/shard/loggers.js';
const scrubber = 'src/core/shard/repairing/scrubber.js';

export const changeMutants: readonly Mutant[] = [
  {
    name: 'scrub takes a copy for sound without reading it',
    rule: 'S10',
    file: scrubber,
    find: 'this.#reading = { copy, reader };',
    replace: '',
  },
  {
    name: 'scrub reads one copy of a zone for all',
    rule: 'S10',
    file: 'src/core/shard/repairing/scrub-pass.js',
    find: 'const logger = zone.replicas.find(',
    replace: 'const logger = zone.replicas.slice(0, 1).find(',
  },
  {
    name: 'damage that the scrub meets is told to nobody',
    rule: 'S10',
    file: scrubber,
    find: 'this.#examiner.suspect(logger, zone.zone);',
    replace: '',
  },
  {
    name: 'logger that drains leaves a list before another copy is on it',
    rule: 'S10',
    file: departures,
    find: 'logger !== undefined && countStaying(replicas, loggers) >= wanted',
    replace: 'logger !== undefined && replicas.length > 1',
    also: [{ file: departures, find: '|| countStaying(replicas, loggers) < wanted', replace: '' }],
  },
  {
    name: 'logger that drains counts as a copy',
    rule: 'S10',
    file: repairer,
    find: 'isLeaving: (logger) => loggers.isLeaving(logger),',
    replace: 'isLeaving: (logger) => loggers.isLost(logger),',
  },
  {
    name: 'open zone is not left by a logger that drains',
    rule: 'decision 0019',
    file: 'src/core/shard/serving/zone-change.js',
    find: 'replicas.filter((logger) => this.#loggers.isDraining(logger));',
    replace: '[];',
  },
  {
    name: 'lost logger counts as a copy',
    rule: 'S9',
    file: repairer,
    find: 'isLeaving: (logger) => loggers.isLeaving(logger),',
    replace: 'isLeaving: (logger) => loggers.isDraining(logger),',
    also: [{ file: loggers, find: 'if (this.isLost(logger))\n            return false;', replace: '' }],
  },
  {
    name: 'take-over waits for a lost logger',
    rule: 'S9',
    file: 'src/core/shard/taking/seal-round.js',
    find: 'const lost = openZone.replicas.filter((logger) => this.#loggers.isLost(logger));',
    replace: 'const lost = [];',
  },
];
