/** The messages are those of kube-apiserver 1.26 to 1.34 and of client-facing parts of etcd, by their source and as seen. */
import { expect, it } from '@jest/globals';
import { refusalReason, refusedSecret, RefusalReason, suggestionFor, type ServerRefusal } from '../../domain/refusal';

const answer = (status: number | undefined, reason: string, message: string): ServerRefusal => ({
  status,
  reason,
  message,
});
const OWN_WORDS = '(its own words are left out: they may quote the Secret)';

it.each<[RefusalReason, ServerRefusal]>([
  [
    'NotPermitted',
    answer(
      403,
      'Forbidden',
      'secrets "x" is forbidden: User "u" cannot patch resource "secrets" in API group "" in the namespace "n"',
    ),
  ],
  [
    'NotPermitted',
    answer(
      403,
      'Forbidden',
      'secrets is forbidden: User "u" cannot list resource "secrets" in API group "" at the cluster scope',
    ),
  ],
  [
    'AnnotationsTooLarge',
    answer(422, 'Invalid', 'Secret "x" is invalid: metadata.annotations: Too long: must have at most 262144 bytes'),
  ],
  [
    'AnnotationsTooLarge',
    answer(422, 'Invalid', 'Secret "x" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes'),
  ],
  ['AdmissionDenied', answer(400, 'BadRequest', `admission webhook "w.x" denied the request ${OWN_WORDS}`)],
  ['AdmissionDenied', answer(403, 'Forbidden', 'admission webhook "w.x" denied the request without explanation')],
  [
    'AdmissionDenied',
    answer(
      422,
      'Invalid',
      `secrets "x" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: ${OWN_WORDS}`,
    ),
  ],
  ['AdmissionDenied', answer(403, 'Forbidden', 'secrets "x" is forbidden: exceeded quota: q, requested: secrets=1')],
  ['AdmissionDenied', answer(404, 'NotFound', `admission webhook "w.x" denied the request: ${OWN_WORDS}`)],
  ['AdmissionDenied', answer(503, 'ServiceUnavailable', `admission webhook "w.x" denied the request: ${OWN_WORDS}`)],
  ['NamespaceMissing', answer(404, 'NotFound', 'namespaces "n" not found')],
  ['DryRunUnsupported', answer(400, 'BadRequest', 'admission webhook "w.x" does not support dry run')],
  [
    'WebhookUnavailable',
    answer(
      500,
      'InternalError',
      'Internal error occurred: failed calling webhook "w.x": failed to call webhook: Post "https://w.n.svc:443/?timeout=10s": dial tcp 10.0.0.1:443: connect: connection refused',
    ),
  ],
  ['TooLarge', answer(413, 'RequestEntityTooLarge', 'Request entity too large: limit is 3145728')],
  ['TooLarge', answer(422, 'Invalid', 'Secret "x" is invalid: data: Too long: may not be more than 1048576 bytes')],
  ['TooLarge', answer(500, 'InternalError', 'etcdserver: request is too large')],
  ['Invalid', answer(422, 'Invalid', 'Secret "x" is invalid: data[.dockerconfigjson]: Required value')],
  [
    'Unreadable',
    answer(
      500,
      'InternalError',
      'Internal error occurred: unable to transform key "/registry/secrets/n/x": no matching prefix found',
    ),
  ],
  [
    'Unreadable',
    answer(
      500,
      'InternalError',
      'Internal error occurred: unable to transform key "/registry/secrets/n/x": failed to decrypt DEK, error: rpc error: code = Unknown desc = key not found',
    ),
  ],
  [
    'EncryptionFailed',
    answer(
      500,
      'InternalError',
      'Internal error occurred: failed to encrypt DEK, error: rpc error: code = Unavailable desc = connection refused',
    ),
  ],
  [
    'EncryptionFailed',
    answer(
      500,
      'InternalError',
      'Internal error occurred: encryptedDEKSource with keyID hash "sha256:ab" expired at 2026-11-22T12:00:00Z (current time is 2026-11-22T12:04:00Z)',
    ),
  ],
  [
    'KeptChanging',
    answer(409, 'Conflict', 'Operation cannot be fulfilled on secrets "x": the object has been modified'),
  ],
  ['ServerError', answer(500, 'InternalError', 'Internal error occurred: something else')],
  // Names are quoted too, and say nothing.
  [
    'NotPermitted',
    answer(403, 'Forbidden', 'secrets "decrypt-tool" is forbidden: User "u" cannot patch resource "secrets"'),
  ],
  ['Invalid', answer(422, 'Invalid', 'Secret "transformer" is invalid: data: Required value')],
])('%s is the reason behind %j', (reason, refusal) => {
  expect(refusalReason(refusal)).toBe(reason);
});

it('every reason has advice of its own, in whole sentences', () => {
  const suggestions = RefusalReason.options.map(suggestionFor);
  expect(new Set(suggestions).size).toBe(suggestions.length);
  for (const suggestion of suggestions) expect(suggestion).toMatch(/^[A-Z].*\.$/);
});

it('a refused Secret is told by name, reason, message and what helps', () => {
  expect(refusedSecret({ namespace: 'n', name: 'x' }, 'TooLarge', 'too large')).toEqual({
    namespace: 'n',
    name: 'x',
    reason: 'TooLarge',
    message: 'too large',
    suggestion: suggestionFor('TooLarge'),
  });
});
