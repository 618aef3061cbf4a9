/** Which Kubernetes versions AKS offers to a cluster and to its agent pools: ARM's upgrade profile. */
import { z } from 'zod';
import type { UpgradeProfile as ControlPlaneOffers } from '../domain/observed';

const Offers = z.looseObject({
  kubernetesVersion: z.string(),
  upgrades: z
    .array(z.looseObject({ kubernetesVersion: z.string().nullish(), isPreview: z.boolean().nullish() }))
    .nullish(),
});

const Body = z.looseObject({
  properties: z.looseObject({
    controlPlaneProfile: Offers,
    agentPoolProfiles: z.array(Offers.extend({ name: z.string().nullish() })).nullish(),
  }),
});

/** What AKS offers, to the agent pools too. Offers are whole versions without previews, each once, the lowest first. */
export interface UpgradeProfile extends ControlPlaneOffers {
  /** By name. */
  readonly pools: readonly { readonly name: string; readonly version: string; readonly offered: readonly string[] }[];
}

/** Maps ARM's JSON. @throws ZodError when it is no upgrade profile */
export function upgradeProfileOf(json: unknown): UpgradeProfile {
  const { controlPlaneProfile, agentPoolProfiles } = Body.parse(json).properties;
  return {
    current: controlPlaneProfile.kubernetesVersion,
    offered: offersOf(controlPlaneProfile),
    pools: (agentPoolProfiles ?? [])
      .map((pool) => ({ name: pool.name ?? '', version: pool.kubernetesVersion, offered: offersOf(pool) }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
  };
}

function offersOf({ upgrades }: z.infer<typeof Offers>): string[] {
  const offered = (upgrades ?? [])
    .filter(({ isPreview }) => isPreview !== true)
    .flatMap(({ kubernetesVersion }) => (kubernetesVersion ? [kubernetesVersion] : []));
  return [...new Set(offered)].sort(byVersion);
}

/** 1.9.0 comes before 1.10.0. */
function byVersion(a: string, b: string): number {
  const [one, other] = [a, b].map((version) => version.split('.').map(Number));
  for (let part = 0; part < 3; part++) {
    const difference = (one?.[part] ?? 0) - (other?.[part] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
