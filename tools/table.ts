/**
 * Which programs Keyturn's sandbox needs, in which versions, and where each one may come from.
 *
 * Never does: anything. This page is data; `find-tool.ts` acts on it.
 *
 * To add a Kubernetes version: put its go.mod and go.sum in `modules/kubernetes-X.Y`, copy the digests of its envtest
 * archive from envtest-releases.yaml of kubernetes-sigs/controller-tools, and add one `envtest(…)`, one
 * `kubernetesBuild(…)` and one row of `TOOLS`.
 */

/** `linux-amd64`, `darwin-arm64`: Go's names, which both download sites use too. */
export type PlatformId = string;

/** A published tar.gz that holds one or more tools. */
export interface Archive {
  /** Also the name of the lock: the process that fetches this archive fetches every tool in it. */
  readonly id: string;
  /** Path on the origin, from its leading slash. */
  readonly path: (platform: PlatformId) => string;
  /**
   * `pinned`: digests written down here. `published`: the digest comes from a file of the same release, which protects
   * from damage but not from a forged release; used only where no digest is published elsewhere.
   */
  readonly checksum:
    | { readonly kind: 'pinned'; readonly algorithm: 'sha512'; readonly digests: Readonly<Record<PlatformId, string>> }
    | { readonly kind: 'published'; readonly algorithm: 'sha256'; readonly path: string };
}

/** A Go module of `tools/modules` that several tools may be built from in one run. */
export interface GoBuild {
  /** Folder below `tools/modules`; its go.mod and go.sum pin every line of source. */
  readonly module: string;
  /** The source, for people: `k8s.io/kubernetes v1.34.1`. */
  readonly source: string;
  /** Extra linker flags: upstream's release scripts stamp versions this way. */
  readonly ldflags: readonly string[];
  /** What a build from an empty Go build cache took on 2 cores. */
  readonly minutesOn2Cores: number;
}

/** One program. */
export interface Tool {
  /** File name, on PATH and in the cache. */
  readonly binary: string;
  /** Environment variable with an explicit path; it beats every other place. */
  readonly variable: string;
  /** Arguments that make the program print its version. */
  readonly versionArgs: readonly string[];
  /** Which versions will do, of a program that Keyturn did not fetch itself. */
  readonly accepts: { readonly rule: 'same-minor' | 'at-least'; readonly version: string };
  /** `member`: path inside the archive. */
  readonly download: { readonly archive: Archive; readonly member: string; readonly version: string };
  /** `output`: the name that `go build` gives the binary of `package`. */
  readonly build: {
    readonly from: GoBuild;
    readonly package: string;
    readonly output: string;
    readonly version: string;
  };
}

export type ToolTable = Readonly<Record<string, Tool>>;

/** Kubernetes, kubectl and etcd of one release, as controller-runtime's envtest publishes them. */
function envtest(version: string, digests: Readonly<Record<PlatformId, string>>): Archive {
  return {
    id: `envtest-${version}`,
    path: (platform) =>
      `/kubernetes-sigs/controller-tools/releases/download/envtest-v${version}/envtest-v${version}-${platform}.tar.gz`,
    checksum: { kind: 'pinned', algorithm: 'sha512', digests },
  };
}

function kubernetesBuild(version: string): GoBuild {
  const [major, minor] = version.split('.');
  return {
    module: `kubernetes-${major}.${minor}`,
    source: `k8s.io/kubernetes v${version}`,
    // Without these a binary says v0.0.0-master, and kubectl and the API server's /version would show that.
    ldflags: ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((pkg) => [
      `-X ${pkg}.gitVersion=v${version}`,
      `-X ${pkg}.gitMajor=${major}`,
      `-X ${pkg}.gitMinor=${minor}`,
    ]),
    minutesOn2Cores: 7,
  };
}

function kubernetesTool(
  binary: 'kube-apiserver' | 'kubectl',
  variable: string,
  archive: Archive,
  build: GoBuild,
  versions: { readonly archive: string; readonly build: string },
): Tool {
  return {
    binary,
    variable,
    versionArgs: binary === 'kubectl' ? ['version', '--client'] : ['--version'],
    accepts: { rule: 'same-minor', version: versions.build },
    download: { archive, member: `controller-tools/envtest/${binary}`, version: versions.archive },
    build: { from: build, package: `k8s.io/kubernetes/cmd/${binary}`, output: binary, version: versions.build },
  };
}

// Digests: envtest-releases.yaml of kubernetes-sigs/controller-tools at 434758187ddd.
const ENVTEST_1_26 = envtest('1.26.1', {
  'linux-amd64':
    '9ddb3e172759be64b0748c0d103a976dfd6aecdcaa0c8fff7724a89b7426b3e00863b8782b3dff16f04768be9e56acbda3755e7c7c00571bc3a8d100b25e04b1',
  'linux-arm64':
    '988f35b688c50ce49056d7549f0532523973b5e7e3629631cda74f2e7c7ad3715cfb8e746ce48e9b366aaad57ac1d191f9735e59e491986bb2d50ef85001bed4',
  'darwin-amd64':
    'c41ff9d03763c5c08ce879a20480d9a9254a9e7f581056cf5cecf6521845f171e0ce17ec3ce236969e9e0c4cec792dc2d9b2afd71f6613ded192988f1e162b81',
  'darwin-arm64':
    'e160a6c863b62c301582b6635d9dbea4275025639f5895b11fc61b11a9986d401cf56695ae8f7600dc17c5aa5900c90dafb5c900fb7166271458948eed6df68f',
});
const BUILD_1_26 = kubernetesBuild('1.26.15');
const ENVTEST_1_27 = envtest('1.27.1', {
  'linux-amd64':
    '607ffc315583a654a7ce6d9ee1bc0ce18ba85750a13f7d972effe253a53e3bb9910f5fb083ebafd7802d39192226493013b9c88108ceeaaa8192323099cf7a9e',
  'linux-arm64':
    '4505684de16e556fea03ea2a9c60bd543dd263b3d07e56bfa2391f09a05edb7c65da3c4544e1d6b6b14b05b9ed991df88385e59911399620ae9b660d56f4a848',
  'darwin-amd64':
    '663996ba95594c2ee97b63e43568567d48bad8bb04598bc27e23f0a64a6525d673bc403817a7bd4dfb043f7feb7f9f31e787e71123187e35344ccb17179b9215',
  'darwin-arm64':
    'adea3db3aa2174743251a6184cfad0b74224073e618f19dfd80c4d031c1352a18810d652a5c42b10e13d8db85e40679dae83448238c22eeff04b5aacd6530011',
});
const BUILD_1_27 = kubernetesBuild('1.27.3');
const ENVTEST_1_34 = envtest('1.34.1', {
  'linux-amd64':
    'c5e7c237ae18a8c65d0df1214b864ecd19aa9ff4f1383dbd477c202546d778c0f74efe15750ec38f57d8de26ba17cd62f404446cdd3c975399a5d4589de35cdd',
  'linux-arm64':
    'bf13d2456183e66d084e28e1c9eed6a408fb77a06d8d1fd0461a7d9bc0c90b63d29ea67870b28f80d1f992acb026007d6f43987753c859c81d6a78bc1ca2c903',
  'darwin-amd64':
    'd9e0464dc1708c36ab41147b5e364c8b8e201eafc14c299dcbe58ebeaa82c651b8e834647167a951ded8c6d08c616aadbae1673a54743f9c8fa15a278c78c0c0',
  'darwin-arm64':
    '43d7c10b74100d20044df7c73be03e26f8243a9cb7c1d3035e581ee7bb0c7ffcaf759b9e182186b5bb2f47d1608835414ca443181a02d9ecb6c9cf04b43e3809',
});
const BUILD_1_34 = kubernetesBuild('1.34.1');

/** A release on GitHub that GoReleaser made: an archive for each platform, and the digests of all. */
function goRelease(
  id: string,
  { repository, version, name, checksums }: Readonly<Record<'repository' | 'version' | 'name' | 'checksums', string>>,
): Archive {
  const folder = `/${repository}/releases/download/v${version}`;
  return {
    id: `${id}-${version}`,
    path: (platform) => `${folder}/${name}_${version}_${platform.replace('-', '_')}.tar.gz`,
    checksum: { kind: 'published', algorithm: 'sha256', path: `${folder}/${checksums}` },
  };
}

// Archive name, checksums.txt and the version variable: .goreleaser.yml of temporalio/cli v1.5.1.
const TEMPORAL_1_5_1 = goRelease('temporal', {
  repository: 'temporalio/cli',
  version: '1.5.1',
  name: 'temporal_cli',
  checksums: 'checksums.txt',
});

// Archive name, members and checksums.txt: .goreleaser.yml of temporalio/temporal v1.29.1.
const TEMPORAL_SERVER_1_29 = goRelease('temporal-server', {
  repository: 'temporalio/temporal',
  version: '1.29.1',
  name: 'temporal',
  checksums: 'checksums.txt',
});
// The module of the Temporal CLI, which has this server inside: after a build of the CLI, Go only links again.
const TEMPORAL_SERVER_BUILD: GoBuild = {
  module: 'temporal',
  source: 'go.temporal.io/server v1.29.1',
  ldflags: [],
  minutesOn2Cores: 5,
};

function temporalServerTool(binary: string, variable: string, name: string, output: string): Tool {
  return {
    binary,
    variable,
    versionArgs: ['--version'],
    accepts: { rule: 'same-minor', version: '1.29.1' },
    download: { archive: TEMPORAL_SERVER_1_29, member: binary, version: '1.29.1' },
    build: { from: TEMPORAL_SERVER_BUILD, package: name, output, version: '1.29.1' },
  };
}

// Names of the assets: releases of tsenart/vegeta; the version variable: its Makefile.
const VEGETA_12_13 = goRelease('vegeta', {
  repository: 'tsenart/vegeta',
  version: '12.13.0',
  name: 'vegeta',
  checksums: 'vegeta_12.13.0_checksums.txt',
});

/** Every tool by its name. */
export const TOOLS = {
  temporal: {
    binary: 'temporal',
    variable: 'KEYTURN_TEMPORAL',
    versionArgs: ['--version'],
    accepts: { rule: 'at-least', version: '1.5.1' },
    download: { archive: TEMPORAL_1_5_1, member: 'temporal', version: '1.5.1' },
    build: {
      from: {
        module: 'temporal',
        source: 'github.com/temporalio/cli v1.5.1',
        ldflags: ['-X github.com/temporalio/cli/temporalcli.Version=1.5.1'],
        minutesOn2Cores: 5,
      },
      package: 'github.com/temporalio/cli/cmd/temporal',
      output: 'temporal',
      version: '1.5.1',
    },
  },
  etcd: {
    binary: 'etcd',
    variable: 'KEYTURN_ETCD',
    versionArgs: ['--version'],
    accepts: { rule: 'same-minor', version: '3.6.16' },
    // 3.6.4: hack/envtest/_matrix/v1.34.1.yaml of controller-tools.
    download: { archive: ENVTEST_1_34, member: 'controller-tools/envtest/etcd', version: '3.6.4' },
    build: {
      from: { module: 'etcd', source: 'go.etcd.io/etcd/server/v3 v3.6.16', ldflags: [], minutesOn2Cores: 1 },
      package: 'go.etcd.io/etcd/server/v3',
      output: 'server',
      version: '3.6.16',
    },
  },
  'kube-apiserver-1.26': kubernetesTool('kube-apiserver', 'KEYTURN_KUBE_APISERVER_1_26', ENVTEST_1_26, BUILD_1_26, {
    archive: '1.26.1',
    build: '1.26.15',
  }),
  'kube-apiserver-1.27': kubernetesTool('kube-apiserver', 'KEYTURN_KUBE_APISERVER_1_27', ENVTEST_1_27, BUILD_1_27, {
    archive: '1.27.1',
    build: '1.27.3',
  }),
  'kube-apiserver-1.34': kubernetesTool('kube-apiserver', 'KEYTURN_KUBE_APISERVER_1_34', ENVTEST_1_34, BUILD_1_34, {
    archive: '1.34.1',
    build: '1.34.1',
  }),
  kubectl: kubernetesTool('kubectl', 'KEYTURN_KUBECTL', ENVTEST_1_34, BUILD_1_34, {
    archive: '1.34.1',
    build: '1.34.1',
  }),
  // The programs of docker-compose.yml, which only its rehearsal (test/deploy) starts.
  'temporal-server': temporalServerTool(
    'temporal-server',
    'KEYTURN_TEMPORAL_SERVER',
    'go.temporal.io/server/cmd/server',
    'server',
  ),
  'temporal-sql-tool': temporalServerTool(
    'temporal-sql-tool',
    'KEYTURN_TEMPORAL_SQL_TOOL',
    'go.temporal.io/server/cmd/tools/sql',
    'sql',
  ),
  // The load generator that `npm run bench:rewrite` compares with; nothing else needs it.
  vegeta: {
    binary: 'vegeta',
    variable: 'KEYTURN_VEGETA',
    versionArgs: ['--version'],
    accepts: { rule: 'at-least', version: '12.12.0' },
    download: { archive: VEGETA_12_13, member: 'vegeta', version: '12.13.0' },
    build: {
      from: {
        module: 'vegeta',
        source: 'github.com/tsenart/vegeta/v12 v12.13.0',
        ldflags: ['-X main.Version=12.13.0'],
        minutesOn2Cores: 1,
      },
      package: 'github.com/tsenart/vegeta/v12',
      output: 'vegeta',
      version: '12.13.0',
    },
  },
} as const satisfies ToolTable;

export type ToolName = keyof typeof TOOLS;
export const TOOL_NAMES = Object.keys(TOOLS) as readonly ToolName[];
