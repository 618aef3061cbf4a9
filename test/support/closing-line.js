/** The last line of a test run, in a form that any CI can count. */
const { writeSync } = require('node:fs');

class ClosingLine {
  onRunComplete(_contexts, { numPassedTests, numFailedTests, numRuntimeErrorTestSuites }) {
    // Jest's own summary comes after every other reporter: only the end of the process is later.
    process.once('exit', () =>
      writeSync(1, `${numPassedTests} passed, ${numFailedTests + numRuntimeErrorTestSuites} failed\n`),
    );
  }
}

module.exports = ClosingLine;
