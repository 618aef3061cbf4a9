/**
 * The files that take longest start first, so that none of them is left over at the end. A fresh clone has no times of earlier runs, and
 * jest would go by the sizes of files.
 */
const { default: Sequencer } = require('@jest/test-sequencer');

const LONGEST = [
  'crash-boundaries',
  'lost-responses',
  'journey',
  'refusals',
  'hostile-clusters',
  'api-server-restarts',
  'retirement-soak',
  'azure-says-otherwise',
  'vnet-integration',
  'many-waiting',
  'left-by-hand',
];

module.exports = class LongestFirst extends Sequencer {
  sort(tests) {
    const rank = ({ path }) => {
      const found = LONGEST.findIndex((name) => path.endsWith(`${name}.test.ts`));
      return found === -1 ? LONGEST.length : found;
    };
    return [...super.sort(tests)].sort((one, other) => rank(one) - rank(other));
  }
};
