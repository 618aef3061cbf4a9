/** The change record that an operation carries out: what a request says of it. */
import { z } from 'zod';
import { plainText } from '../plain-text';
import { inUtc } from '../times';

/** An https URL without a user in it, in ASCII: it becomes a link where people read. */
const HTTPS = /^https:\/\/[A-Za-z0-9][A-Za-z0-9.-]{0,252}(:[0-9]{1,5})?([/?#][A-Za-z0-9\-._~:/?#[\]@!$&'()*+,;=%]*)?$/;

const time = z.iso
  .datetime({
    offset: true,
    error: 'Expected a time with its zone, such as 2026-01-31T22:00:00Z or 2026-01-31T23:00:00+01:00.',
  })
  .transform(inUtc);

/** When a change may be carried out. Both ends are times in UTC with milliseconds; the end is not a part of it. */
export interface ChangeWindow {
  readonly start: string;
  readonly end: string;
}

const Window = z
  .strictObject({ start: time, end: time })
  .superRefine(({ start, end }, context) => {
    if (start < end) return;
    context.addIssue({ code: 'custom', path: ['end'], message: 'Expected a time after the start of the window.' });
  })
  .meta({
    description:
      'When the change may be carried out. Keyturn begins no step that changes something before `start`, nor from `end` on.',
  });

/** The change record that an operation belongs to. */
export const Change = z
  .strictObject({
    number: plainText(64, { description: 'Number of the change record.', example: 'CHG0030192' }),
    reason: plainText(500, { description: 'Why, for the approver and the auditor.' }).optional(),
    system: plainText(64, {
      description: 'The system that has the change record, for people.',
      example: 'ServiceNow',
    }).optional(),
    url: z
      .string()
      .max(300)
      .regex(HTTPS, { error: 'Expected an https URL in ASCII, without a user in it.' })
      .optional()
      .meta({
        description: 'Where people read the change record.',
        example: 'https://example.service-now.com/change_request.do?sys_id=9d385017c611228701d22104cc95c371',
      }),
    window: Window.optional(),
  })
  .meta({ description: 'The change record that this operation carries out.' });
/** The change record that an operation belongs to. */
export type Change = z.infer<typeof Change>;

/** As it is stored with an operation. */
export const StoredChange = z.object({
  number: z.string(),
  reason: z.string().optional(),
  system: z.string().optional(),
  url: z.string().optional(),
  window: z.object({ start: z.string(), end: z.string() }).optional(),
});
