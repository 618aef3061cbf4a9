/**
 * The services of docker-compose.yml as processes: in the order of the file, with its environment, commands and health checks.
 *
 * Needs: Debian's PostgreSQL, `temporal-server` and `temporal-sql-tool`, and Keyturn's compiled code.
 * Does: waits as Compose waits (healthy, completed); gives a process the user, and takes from it the rights, that the file
 *       says, where this process may.
 * Never does: start what is not built here (the Temporal UI), or limit networks: all is on loopback.
 */
import { execFile, spawnSync } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startChild, type Child } from '../../tools/child-process';
import { ROOT, startOrder, type ComposeFile, type ComposeService } from './compose-file';
import { linkOrCopy, makeImageTree } from './image-tree';
import { initialise, postgresPrograms } from './postgres';
import { translationOf, type Translation } from './translation';

const HEALTHY_WITHIN_IN_MS = 120_000;
const OUTPUT_LIMIT_IN_BYTES = 64 * 1024 * 1024;
const BETWEEN_HEALTH_CHECKS_IN_MS = 200;
/** Not built here. */
const LEFT_OUT = ['temporal-ui'];
const IS_ROOT = process.getuid?.() === 0;
const SERVER_CONFIG = 'deploy/temporal-server.yaml';

/** How to rehearse. */
export interface RehearsalOptions {
  readonly compose: ComposeFile;
  /** A new folder that every user may enter. */
  readonly directory: string;
  /** Absolute paths of `temporal`, `temporal-server` and `temporal-sql-tool`. */
  readonly programs: Readonly<Record<string, string>>;
  /** What an override file of the operator would add to the environment of Keyturn's services. */
  readonly keyturnEnvironment: Readonly<Record<string, string>>;
}

/** The services, started and stopped together. */
export interface Rehearsal {
  /** The services that were started or ran to their end, in order. */
  readonly order: readonly string[];
  /** The services whose health check failed right before they were started. */
  readonly unhealthyBefore: readonly string[];
  readonly apiUrl: string;
  /** Where a path of a container is here. */
  pathOf(containerPath: string): string;
  /** `docker compose up --wait` of all services or one; what runs, stays. @throws Error with a service's output when it fails */
  up(only?: string): Promise<void>;
  /** `docker compose exec -T`. @returns its standard output @throws Error with what it complained about */
  exec(service: string, argv: readonly string[], input?: Buffer): Buffer;
  /** `docker compose stop` of all services or some: volumes stay. */
  stop(...names: string[]): Promise<void>;
}

/** Prepares the folder. */
export async function rehearse(options: RehearsalOptions): Promise<Rehearsal> {
  const { compose, directory, programs } = options;
  const root = path.join(directory, 'root');
  const translation = await translationOf({
    services: Object.keys(compose.services),
    containerPorts: [5432, 8080, ...portsOfTemporal()],
    root,
  });
  for (const folder of ['root', 'bin', 'logs']) mkdirSync(path.join(directory, folder));
  makeImageTree(path.join(directory, 'app'));
  linkOrCopy(process.execPath, path.join(directory, 'bin', 'node'));
  for (const [name, file] of Object.entries(programs)) symlinkSync(file, path.join(directory, 'bin', name));
  const stage = new Stage(options, translation, root);
  return {
    order: stage.order,
    unhealthyBefore: stage.unhealthyBefore,
    apiUrl: `http://127.0.0.1:${translation.port(8080)}`,
    pathOf: (containerPath) => translation.text(containerPath),
    up: (only) => stage.up(only),
    exec: (service, argv, input) => stage.exec(service, argv, input),
    stop: (...names) => stage.stop(...names),
  };
}

class Stage {
  readonly order: string[] = [];
  readonly unhealthyBefore: string[] = [];
  readonly #running = new Map<string, { readonly child: Child; readonly signal: NodeJS.Signals }>();
  readonly #path: string;

  constructor(
    private readonly options: RehearsalOptions,
    private readonly translation: Translation,
    private readonly root: string,
  ) {
    this.#path = [path.join(options.directory, 'bin'), postgresPrograms(), '/usr/bin', '/bin'].join(path.delimiter);
  }

  async up(only?: string): Promise<void> {
    const { compose } = this.options;
    for (const name of startOrder(compose).filter((each) => !LEFT_OUT.includes(each) && each === (only ?? each))) {
      const service = compose.services[name];
      if (service !== undefined && !this.#running.has(name)) await this.#start(name, service);
    }
  }

  async stop(...names: string[]): Promise<void> {
    for (const [name, { child, signal }] of [...this.#running].reverse()) {
      if (names.length > 0 && !names.includes(name)) continue;
      this.#running.delete(name);
      child.kill(signal);
      await child.stop({ graceInMs: 60_000 });
    }
  }

  exec(name: string, argv: readonly string[], input?: Buffer): Buffer {
    const service = this.options.compose.services[name];
    if (service === undefined) throw new Error(`There is no service "${name}".`);
    const { command, args, cwd, env } = this.#process(service, argv);
    // In the image, PostgreSQL's socket is where its programs look for it.
    const socket = { PGHOST: this.#databaseFolder(), PGPORT: String(this.translation.port(5432)) };
    const ran = spawnSync(command, args, { cwd, env: { ...env, ...socket }, input, maxBuffer: OUTPUT_LIMIT_IN_BYTES });
    if (ran.status !== 0) throw new Error(`${argv.join(' ')} failed: ${ran.error?.message ?? ran.stderr.toString()}`);
    return ran.stdout;
  }

  async #start(name: string, service: ComposeService): Promise<void> {
    this.#mount(service);
    if (!(await this.#isHealthy(service)) && service.healthcheck) this.unhealthyBefore.push(name);
    const child = startChild({
      name,
      ...this.#process(service, [...service.entrypoint, ...this.#command(service)]),
      logFile: path.join(this.options.directory, 'logs', `${name}.log`),
    });
    this.order.push(name);
    if (service.healthcheck === undefined) return await this.#completed(name, child);
    this.#running.set(name, { child, signal: service.stop_signal });
    await this.#healthy(name, service, child);
  }

  /** Makes the folders of its volumes, owned as the image owns them, and puts its configs where it looks for them. */
  #mount(service: ComposeService): void {
    for (const volume of service.volumes) {
      const folder = this.translation.text(volume.split(':')[1] ?? '');
      mkdirSync(folder, { recursive: true });
      if (IS_ROOT) chownSync(folder, ...userOf(service));
      chmodSync(folder, 0o700);
    }
    for (const { source, target } of service.configs) {
      const file = this.translation.text(target);
      mkdirSync(path.dirname(file), { recursive: true });
      const content = readFileSync(path.join(ROOT, this.options.compose.configs[source]?.file ?? ''), 'utf8');
      writeFileSync(file, this.translation.text(content));
    }
    if (service.image.startsWith('postgres:')) {
      initialise(this.#databaseFolder(), service.environment, (argv, input) => {
        this.exec('postgresql', argv, Buffer.from(input ?? ''));
      });
    }
  }

  /** The images of others have a command of their own. */
  #command(service: ComposeService): readonly string[] {
    if (!service.image.startsWith('postgres:')) return service.command;
    const folder = this.#databaseFolder();
    return ['postgres', '-D', path.join(folder, 'data'), '-p', '5432', '-k', folder, '-h', '127.0.0.1'];
  }

  #databaseFolder(): string {
    return path.join(this.root, 'var/lib/postgresql/data');
  }

  /** How a program of a service is started here, for its command and its health check. */
  #process(service: ComposeService, argv: readonly string[]): ProcessOptions {
    const isKeyturn = service.image.startsWith('keyturn:');
    const [command = '', ...args] = [...this.#confined(service), ...argv.map((each) => this.translation.text(each))];
    return {
      command,
      args,
      cwd: isKeyturn ? path.join(this.options.directory, 'app') : this.options.directory,
      env: {
        ...this.translation.environment(service.environment),
        ...(isKeyturn ? { NODE_ENV: 'production', ...this.options.keyturnEnvironment } : {}),
        PATH: this.#path,
        HOME: '/nonexistent',
      },
    };
  }

  /** The user and the rights that the file gives; only root can do this, and only Linux has it. */
  #confined(service: ComposeService): string[] {
    if (!IS_ROOT || service.user === undefined) return [];
    const [uid, gid] = userOf(service);
    return [
      ...['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups'],
      ...(service.cap_drop.includes('ALL') ? ['--inh-caps=-all', '--bounding-set=-all'] : []),
      ...(service.security_opt.includes('no-new-privileges:true') ? ['--no-new-privs'] : []),
      '--',
    ];
  }

  async #isHealthy(service: ComposeService): Promise<boolean> {
    const [, ...test] = service.healthcheck?.test ?? [];
    if (test.length === 0) return false;
    const { command, args, cwd, env } = this.#process(service, test);
    return await new Promise((resolve) => execFile(command, args, { cwd, env }, (error) => resolve(error === null)));
  }

  async #healthy(name: string, service: ComposeService, child: Child): Promise<void> {
    let ended = false;
    void child.exited.then(() => (ended = true));
    const deadline = Date.now() + HEALTHY_WITHIN_IN_MS;
    while (!(await this.#isHealthy(service))) {
      if (ended || Date.now() > deadline) throw new Error(`${name} did not get healthy.\n${child.tail()}`);
      await sleep(BETWEEN_HEALTH_CHECKS_IN_MS);
    }
  }

  async #completed(name: string, child: Child): Promise<void> {
    const { code, signal } = await child.exited;
    if (code !== 0) throw new Error(`${name} ended with ${signal ?? `code ${code}`}.\n${child.tail()}`);
  }
}

interface ProcessOptions {
  readonly command: string;
  readonly args: string[];
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
}

/** User and group ids. PostgreSQL wants a user with a name: Debian's in the place of the image's. */
function userOf(service: ComposeService): [number, number] {
  if (service.image.startsWith('postgres:')) {
    const entry = /^postgres:[^:]*:(\d+):(\d+):/m.exec(readFileSync('/etc/passwd', 'utf8'));
    if (entry === null) throw new Error('PostgreSQL does not run as root, and there is no user "postgres".');
    return [Number(entry[1]), Number(entry[2])];
  }
  const [uid = '', gid = ''] = (service.user ?? '').split(':');
  return [Number(uid), Number(gid)];
}

function portsOfTemporal(): number[] {
  const content = readFileSync(path.join(ROOT, SERVER_CONFIG), 'utf8');
  return [...content.matchAll(/(?:grpcPort|membershipPort): (\d+)/g)].map(([, port]) => Number(port));
}
