/**
 * `npm run look:temporal -- FOLDER`: makes operations that wait, run, are blocked and have ended on the sandbox, opens each in the Temporal
 * UI in headless Chromium (KEYTURN_CHROMIUM, else /usr/bin/chromium), and writes the pictures that docs/following.md shows.
 */
const { randomUUID } = require('node:crypto');
const { mkdirSync } = require('node:fs');
const path = require('node:path');
const { chromium } = require('playwright-core');
const { ApiClient } = require('../../dist/cli/api-client');
const { temporaryDirectory } = require('../../dist/cli/working-directory');
const { makeSandboxCluster } = require('../../dist/launch/sandbox-cluster');
const { SandboxControl } = require('../../dist/launch/sandbox-control');
const { startStack } = require('../../dist/launch/stack');

const SECRETS = 100;
/** Of the cluster whose Secrets are being rewritten when its picture is taken; the census before takes as long. */
const SLOWLY = { 'keyturn-rewrites-per-second': '2' };
const SIZE = { width: 1440, height: 900 };

async function main([folder]) {
  if (!folder) throw new Error('npm run look:temporal -- FOLDER');
  const temporary = temporaryDirectory();
  const stack = await startStack({
    directory: temporary.path,
    env: {
      ...process.env,
      KEYTURN_EVIDENCE_DIRECTORY: path.join(temporary.path, 'evidence'),
      KEYTURN_EVIDENCE_KEY_FILE: path.join(temporary.path, 'evidence-key.pem'),
      KEYTURN_API_SIGNING_KEY_FILE: path.join(temporary.path, 'api-key.pem'),
    },
    sandbox: true,
    temporal: true,
  });
  try {
    const { uiUrl, namespace } = stack.temporal;
    const operations = await makeOperations(stack, temporary.path);
    await takePictures(folder, `${uiUrl}/namespaces/${namespace}/workflows`, operations);
  } finally {
    await stack.stop();
    temporary.remove();
  }
}

/** One operation in each state. @returns their ids by state */
async function makeOperations({ sandbox: { facts }, service }, directory) {
  const control = new SandboxControl(facts.control);
  const requester = new ApiClient(service.apiUrl, facts.people.requester.token);
  const approver = new ApiClient(service.apiUrl, facts.people.approver1.token);
  const until = async (id, holds) => {
    for (;;) {
      const now = await requester.get(id, 1);
      if (holds(now)) return now;
    }
  };
  const planned = async (name, number, tags) => {
    const cluster = await makeSandboxCluster(facts, { name, vaultName: `kv-${name}`, directory, tags });
    await control.seed(name, { count: SECRETS });
    const body = { kind: 'rotate-key', cluster: cluster.resourceId, change: { number, reason: 'Yearly rotation.' } };
    const { operation } = await requester.create(body, randomUUID());
    return await until(operation.id, ({ offers }) => offers.includes('approve'));
  };
  const approve = async (operation) => {
    await approver.approve(operation.id, operation.plan.digest);
    return operation;
  };

  const ended = await approve(await planned('aks-shop', 'CHG0030192'));
  await until(ended.id, ({ status, evidence }) => status === 'Succeeded' && evidence !== null);
  const blocked = await planned('aks-reports', 'CHG0030195');
  await control.setFault('fail-operation', {
    path: '/managedclusters/aks-reports',
    code: 'InternalOperationError',
    message: 'Backend trouble.',
  });
  await approve(blocked);
  await until(blocked.id, ({ status }) => status === 'Blocked');
  const waiting = await planned('aks-payments', 'CHG0030197');
  const running = await approve(await planned('aks-stock', 'CHG0030198', SLOWLY));
  await until(running.id, ({ steps }) =>
    steps.some(({ id, status }) => id === 'rotate.rewrite' && status === 'running'),
  );
  // The one that runs comes first: the others stay as they are.
  return { running: running.id, waiting: waiting.id, blocked: blocked.id, ended: ended.id };
}

async function takePictures(folder, workflows, operations) {
  mkdirSync(folder, { recursive: true });
  const executablePath = process.env.KEYTURN_CHROMIUM || '/usr/bin/chromium';
  // No network but loopback, and no sandbox of its own, which root cannot have.
  const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
  try {
    const page = await browser.newPage({ viewport: SIZE });
    const take = async (name) => {
      const picture = path.join(folder, `temporal-${name}.png`);
      await page.screenshot({ path: picture, timeout: 120_000 });
      console.log(picture);
    };
    for (const [state, id] of Object.entries(operations)) {
      await page.goto(`${workflows}/${id}`);
      // The page asks Temporal for the summary and the history in turn.
      await page.waitForURL(/history|timeline|summary/, { timeout: 60_000 });
      await page.getByText(id).first().waitFor({ timeout: 60_000 });
      await page.waitForLoadState('networkidle', { timeout: 20_000 }).catch(() => undefined);
      await take(state);
    }
    await page.goto(workflows);
    await page.getByText(operations.waiting).first().waitFor({ timeout: 60_000 });
    await take('list');
  } finally {
    await browser.close();
  }
}

main(process.argv.slice(2)).then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
