/**
 * A plan as it is stored in the memo: each longer text once. A plan repeats the ids of keys and vaults in most of its steps, which may
 * be 500 bytes each time; with the longest names that was more than half of it.
 */
import { z } from 'zod';
import { Plan } from './plan';

/** A shorter text is stored as it is: a reference would save nothing, and a person may read the memo. */
const SHORTEST = 40;
/** Stands for a text by its place in the list. No member of a plan has this name. */
const REFERENCE = '$';

const Stored = z.object({ texts: z.array(z.string()), plan: z.unknown() });

/** The plan with references in the place of texts that it repeats. */
export function storedPlan(plan: Plan): z.infer<typeof Stored> {
  const seen = new Map<string, number>();
  mapTexts(plan, (text) => {
    if (text.length >= SHORTEST) seen.set(text, (seen.get(text) ?? 0) + 1);
    return text;
  });
  const texts = [...seen].flatMap(([text, times]) => (times > 1 ? [text] : []));
  const places = new Map(texts.map((text, index) => [text, index]));
  const withReferences = mapTexts(plan, (text) => {
    const place = places.get(text);
    return place === undefined ? text : { [REFERENCE]: place };
  });
  return { texts, plan: withReferences };
}

/** The plan that was stored. Its digest is not checked here. @throws ZodError when it is not one */
export function planStored(stored: unknown): Plan {
  const { texts, plan } = Stored.parse(stored);
  return Plan.parse(resolved(plan, texts));
}

function mapTexts(value: unknown, change: (text: string) => unknown): unknown {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((one) => mapTexts(one, change));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, mapTexts(one, change)]));
}

function resolved(value: unknown, texts: readonly string[]): unknown {
  if (Array.isArray(value)) return value.map((one) => resolved(one, texts));
  if (value === null || typeof value !== 'object') return value;
  const { [REFERENCE]: place } = value as Readonly<Record<string, unknown>>;
  if (typeof place === 'number') return texts[place];
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, resolved(one, texts)]));
}
