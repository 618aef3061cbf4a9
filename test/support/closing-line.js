/**
 * The last line of a test run, in a form that any CI can count. With KEYTURN_TALLY, a file, it counts the runs before that named the
 * same file, too: the last line of several runs is then that of all.
 */
const { appendFileSync, readFileSync, writeSync } = require('node:fs');

class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    const failed = numFailedTests + numRuntimeErrorTestSuites;
    const tally = process.env.KEYTURN_TALLY;
    if (tally) appendFileSync(tally, `${numPassedTests} ${failed}\n`);
    const runs = tally ? readFileSync(tally, 'utf8').trim().split('\n') : [`${numPassedTests} ${failed}`];
    const sum = (column) => runs.reduce((all, run) => all + Number(run.split(' ')[column]), 0);
    // Jest's own summary comes after every other reporter: only the end of the process is later.
    process.once('exit', () => writeSync(1, `${sum(0)} passed, ${sum(1)} failed\n`));
  }
}

module.exports = ClosingLine;
