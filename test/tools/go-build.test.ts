import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findTool } from '../../tools';
import { modulesDirectory } from '../../tools/settings';
import { TOOLS, TOOL_NAMES } from '../../tools/table';
import { goLog, installFakeGo, makePlace, PLATFORM, REPOSITORY, type Place } from './support';

let place: Place;

beforeEach(() => {
  place = makePlace();
});

afterEach(() => place.remove());

describe('the pinned modules', () => {
  test('are found from the sources and from compiled code', () => {
    const modules = join(REPOSITORY, 'tools', 'modules');
    expect(modulesDirectory(join(REPOSITORY, 'tools'))).toBe(modules);
    expect(modulesDirectory(join(REPOSITORY, 'dist', 'tools'))).toBe(modules);
    expect(() => modulesDirectory('/')).toThrow('No package.json of keyturn');
  });

  test('are found above a package.json of somebody else', () => {
    const inner = join(place.directory, 'packages', 'other');
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, 'package.json'), '{ "name": "other" }');
    writeFileSync(join(place.directory, 'package.json'), '{ "name": "keyturn" }');
    expect(modulesDirectory(inner)).toBe(join(place.directory, 'tools', 'modules'));
  });

  test.each(TOOL_NAMES)('pin for %s the version that the table names', (name) => {
    const { build } = TOOLS[name];
    const folder = join(modulesDirectory(), build.from.module);
    const goMod = readFileSync(join(folder, 'go.mod'), 'utf8');
    expect(goMod).toContain(`${build.from.source} `);
    expect(build.from.source.endsWith(` v${build.version}`)).toBe(true);
    expect(goMod).toMatch(new RegExp(`^(tool |\\t)${build.package.replaceAll('.', '\\.')}$`, 'm'));
    expect(existsSync(join(folder, 'go.sum'))).toBe(true);
  });
});

describe('a build', () => {
  test('makes both Kubernetes programs in one run, read-only and outside of any workspace', async () => {
    installFakeGo(place);
    await findTool('kubectl', place.options);
    await findTool('kube-apiserver-1.34', place.options);
    expect(goLog(place)).toHaveLength(1);
    const [line = ''] = goLog(place);
    expect(line).toContain(`GOWORK=off PWD=${join(modulesDirectory(), 'kubernetes-1.34')} build -mod=readonly `);
    expect(line).toContain('-X k8s.io/component-base/version.gitVersion=v1.34.1');
    expect(line).toMatch(/ k8s\.io\/kubernetes\/cmd\/kubectl k8s\.io\/kubernetes\/cmd\/kube-apiserver$/);
  });

  test('puts etcd under its own name, which is not the name that go gives it', async () => {
    installFakeGo(place);
    expect(await findTool('etcd', place.options)).toBe(
      join(place.cache, 'tools', 'etcd', `3.6.16-${PLATFORM}`, 'etcd'),
    );
  });

  test('that fails leaves nothing in the cache and shows complaints, not progress', async () => {
    installFakeGo(place, {
      build: 'echo "go: downloading a v1"; echo "internal/abi"; echo "# x: disk full" >&2; exit 2',
    });
    const error: unknown = await findTool('temporal', place.options).catch((reason: unknown) => reason);
    const message = error instanceof Error ? error.message : '';
    expect(message).toContain('ended with code 2');
    expect(message).toContain('# x: disk full');
    expect(message).not.toContain('internal/abi');
    expect(message).not.toContain('go: downloading');
    expect(place.cached()).toEqual([]);
  });

  test('lets an older Go fetch a newer one, and says so when that fails', async () => {
    installFakeGo(place, { version: '1.24.3', build: 'exit 1' });
    await expect(findTool('etcd', place.options)).rejects.toThrow(
      'it is Go 1.24.3, wanted is 1.26 or newer; fetching a newer one may be what failed',
    );
    expect(goLog(place)[0]).toContain('GOTOOLCHAIN=auto ');
  });

  test('obeys GOTOOLCHAIN of the environment, and names it when the build fails', async () => {
    installFakeGo(place, { version: '1.24.3', build: 'exit 1' });
    const env = { ...place.env, GOTOOLCHAIN: 'local' };
    await expect(findTool('etcd', { ...place.options, env })).rejects.toThrow('GOTOOLCHAIN=local is in force');
    expect(goLog(place)[0]).toContain('GOTOOLCHAIN=local ');
  });

  test('is not tried with a Go that cannot fetch a newer one', async () => {
    installFakeGo(place, { version: '1.19.8' });
    await expect(findTool('etcd', place.options)).rejects.toThrow('is Go 1.19.8, wanted is 1.26 or newer');
    expect(goLog(place)).toEqual([]);
  });
});
