/** Messages may come past the API: what they say is made plain before it is shown, and never a reason not to be taken. */
import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CancellationMessage } from '../../domain/operation';
import { PauseRequest } from '../../domain/pause';
import { isPlainText } from '../../domain/plain-text';
import { person } from './fixtures';

it('any comment and reason of a message to an operation is plain text', () => {
  const text = fc.string({ unit: 'binary', minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(text, (words) => {
      const by = person('ada');
      const cancellation = CancellationMessage.parse({ by, comment: words });
      const pause = PauseRequest.parse({ by, reason: words });
      for (const one of [cancellation.comment, pause.reason]) expect(isPlainText(one ?? '\n')).toBe(true);
    }),
    { examples: [['\u001b[2Ja\ud83d\u202eb\u0000']] },
  );
});

it('what is plain stays as it is', () => {
  const comment = 'Réunion à 14 h – 变更 ✓ 🎉 (CHG0030192)';
  expect(CancellationMessage.parse({ by: person('ada'), comment })).toMatchObject({ by: person('ada'), comment });
});
