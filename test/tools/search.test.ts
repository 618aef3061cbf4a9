import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { join } from 'node:path';
import { types } from 'node:util';
import { ensureTools, findTool, ToolUnavailableError } from '../../tools';
import {
  goLog,
  installFakeGo,
  makePlace,
  PLATFORM,
  saysVersion,
  startOrigin,
  type Origin,
  type Place,
} from './support';

let origin: Origin;
let place: Place;

beforeEach(async () => {
  origin = await startOrigin();
  place = makePlace(origin.url);
});

afterEach(async () => {
  place.remove();
  await origin.close();
});

async function failure(work: Promise<unknown>): Promise<Error> {
  const outcome: unknown = await work.catch((error: unknown) => error);
  if (!types.isNativeError(outcome)) throw new Error(`expected a failure, got ${String(outcome)}`);
  return outcome;
}

describe('the explicit path', () => {
  test('beats PATH and the cache', async () => {
    place.script('bin/etcd', saysVersion('3.6.16'));
    place.script(`cache/tools/etcd/3.6.16-${PLATFORM}/etcd`, saysVersion('3.6.16'));
    const mine = place.script('elsewhere/my-etcd', saysVersion('3.6.1'));
    expect(await findTool('etcd', { ...place.options, env: { ...place.env, KEYTURN_ETCD: mine } })).toBe(mine);
  });

  test('that leads nowhere is an error about the variable, not a reason to look elsewhere', async () => {
    place.script('bin/etcd', saysVersion('3.6.16'));
    const env = { ...place.env, KEYTURN_ETCD: join(place.directory, 'absent') };
    const error = await failure(findTool('etcd', { ...place.options, env }));
    expect(error.message).toContain('KEYTURN_ETCD is ');
    expect(error.message).toContain('Correct or unset it');
  });

  test('to another version is used as told, with a word about it', async () => {
    const mine = place.script('elsewhere/etcd', saysVersion('3.5.9'));
    expect(await findTool('etcd', { ...place.options, env: { ...place.env, KEYTURN_ETCD: mine } })).toBe(mine);
    expect(place.lines.join('\n')).toContain('says 3.5.9, made for version 3.6.x');
  });

  test('to a program that does not run is an error', async () => {
    const env = { ...place.env, KEYTURN_KUBECTL: place.script('elsewhere/kubectl', 'exit 3') };
    expect((await failure(findTool('kubectl', { ...place.options, env }))).message).toContain('does not run');
  });

  test('that is set to nothing counts as not set', async () => {
    const path = place.script('bin/etcd', saysVersion('3.6.16'));
    expect(await findTool('etcd', { ...place.options, env: { ...place.env, KEYTURN_ETCD: '' } })).toBe(path);
  });
});

describe('PATH', () => {
  test('is used before the cache when the minor version is the wanted one', async () => {
    const path = place.script('bin/kube-apiserver', saysVersion('1.34.7'));
    place.script(`cache/tools/kube-apiserver-1.34/1.34.1-${PLATFORM}/kube-apiserver`, saysVersion('1.34.1'));
    expect(await findTool('kube-apiserver-1.34', place.options)).toBe(path);
  });

  test('is passed over when its program has another minor version', async () => {
    place.script('bin/kubectl', saysVersion('1.33.4'));
    const cached = place.script(`cache/tools/kubectl/1.34.1-${PLATFORM}/kubectl`, saysVersion('1.34.1'));
    expect(await findTool('kubectl', place.options)).toBe(cached);
  });

  test('is searched to its end: a second folder may have the right version', async () => {
    place.script('bin/etcd', saysVersion('3.4.0'));
    const second = place.script('bin2/etcd', saysVersion('3.6.2'));
    const env = { ...place.env, PATH: `${place.env.PATH}:${join(place.directory, 'bin2')}` };
    expect(await findTool('etcd', { ...place.options, env })).toBe(second);
  });

  test.each(['1.5.1', '1.5.2', '1.10.0', '2.0.0'])('gives Temporal %s, which is new enough', async (version) => {
    const path = place.script('bin/temporal', saysVersion(version));
    expect(await findTool('temporal', place.options)).toBe(path);
  });

  test.each(['1.5.0', '1.4.9', '0.13.2'])('does not give Temporal %s, which is too old', async (version) => {
    place.script('bin/temporal', saysVersion(version));
    expect((await failure(findTool('temporal', place.options))).message).toContain(`says ${version}, wanted is`);
  });
});

describe('the cache', () => {
  test('is used before the network, whichever source its binary came from', async () => {
    const downloaded = place.script(`cache/tools/etcd/3.6.4-${PLATFORM}/etcd`, saysVersion('3.6.4'));
    const built = place.script(`cache/tools/temporal/1.5.1-${PLATFORM}/temporal`, saysVersion('1.5.1'));
    const tools = await ensureTools(['etcd', 'temporal'], place.options);
    expect(tools).toEqual({ etcd: downloaded, temporal: built });
    expect(origin.requests).toEqual([]);
    expect(place.lines).toEqual([]);
  });

  test('is a folder named keyturn in XDG_CACHE_HOME when KEYTURN_CACHE is not set', async () => {
    const cached = place.script(`xdg/keyturn/tools/etcd/3.6.4-${PLATFORM}/etcd`, saysVersion('3.6.4'));
    const env = { ...place.env, KEYTURN_CACHE: undefined, XDG_CACHE_HOME: join(place.directory, 'xdg') };
    expect(await findTool('etcd', { ...place.options, env })).toBe(cached);
  });

  test('that cannot be written is an error that names it and KEYTURN_CACHE', async () => {
    const env = { ...place.env, KEYTURN_CACHE: place.script('a-file', '') };
    const { message } = await failure(findTool('etcd', { ...place.options, env }));
    expect(message).toContain(`The cache ${join(place.directory, 'a-file', 'tools')} cannot be used`);
    expect(message).toContain('KEYTURN_CACHE');
  });
});

describe('a tool that no place has', () => {
  test('gives an error that names every attempt and what to do', async () => {
    place.script('bin/kube-apiserver', saysVersion('1.29.0'));
    installFakeGo(place, { build: 'for n in $(seq 30); do echo "main.go:$n: broken"; done 2>/dev/null; exit 1' });
    place.script('bin/seq', 'i=1; while [ $i -le 30 ]; do echo $i; i=$((i+1)); done');

    const error = await failure(findTool('kube-apiserver-1.34', place.options));

    expect(error).toBeInstanceOf(ToolUnavailableError);
    const places = [
      'KEYTURN_KUBE_APISERVER_1_34: not set',
      `${join(place.directory, 'bin', 'kube-apiserver')} says 1.29.0, wanted is version 1.34.x`,
      join(place.cache, 'tools', 'kube-apiserver-1.34', `1.34.1-${PLATFORM}`, 'kube-apiserver'),
      `${origin.url}/kubernetes-sigs/controller-tools/releases/download/envtest-v1.34.1/envtest-v1.34.1-${PLATFORM}.tar.gz: HTTP 404`,
      'build of k8s.io/kubernetes v1.34.1 with Go',
      'ended with code 1',
      'https://go.dev/dl',
      'HTTPS_PROXY',
      'Set KEYTURN_KUBE_APISERVER_1_34',
    ];
    const positions = places.map((text) => error.message.indexOf(text));
    expect(positions).not.toContain(-1);
    expect(positions).toEqual([...positions].sort((a, b) => a - b));
    expect(error.message).toContain('main.go:30: broken');
    expect(error.message).toContain('main.go:11: broken');
    expect(error.message).not.toContain('main.go:10: broken');
    expect(place.cached()).toEqual([]);
  });

  test('says so when there is no Go', async () => {
    expect((await failure(findTool('etcd', place.options))).message).toContain('there is no go on PATH');
  });

  test('is asked for only once per archive when several tools are wanted', async () => {
    installFakeGo(place);
    await ensureTools(['etcd', 'kube-apiserver-1.34', 'kubectl'], place.options);
    expect(origin.requests).toHaveLength(1);
    expect(goLog(place)).toHaveLength(2);
  });
});
