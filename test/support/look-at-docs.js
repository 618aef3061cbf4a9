/**
 * `npm run look:docs -- URL PICTURE.png`: opens /docs of a running API in headless Chromium (KEYTURN_CHROMIUM, else /usr/bin/chromium),
 * unfolds one operation and takes a picture. Fails when the page breaks its own policy, has an error, or asks another server for something.
 */
const { chromium } = require('playwright-core');

async function main([base, picture]) {
  if (!base || !picture) throw new Error('npm run look:docs -- URL PICTURE.png');
  const executablePath = process.env.KEYTURN_CHROMIUM || '/usr/bin/chromium';
  // No network but loopback, and no sandbox of its own, which root cannot have.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  const faults = [];
  try {
    const page = await browser.newPage({ viewport: { width: 1200, height: 1400 } });
    page.on('console', (message) => {
      if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
    page.on('request', (request) => {
      const url = request.url();
      if (!url.startsWith(base) && !url.startsWith('data:') && !url.startsWith('blob:')) faults.push(`asked: ${url}`);
    });
    await page.goto(`${base}/docs`);
    const operation = page.locator('#operations-Operations-getOperation');
    await operation.locator('button.opblock-summary-control').click({ timeout: 60_000 });
    await operation.locator('.responses-table').first().waitFor({ timeout: 60_000 });
    await page.screenshot({ path: picture });
    console.log(`${await page.locator('.opblock').count()} operations; ${faults.length} faults`);
  } catch (error) {
    throw new Error([error.message, ...faults].join('\n'), { cause: error });
  } finally {
    await browser.close();
  }
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

main(process.argv.slice(2)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
