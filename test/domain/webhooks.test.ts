/** The file of webhook endpoints: who may be told, and of what. */
import { describe, expect, it } from '@jest/globals';
import { hearsOf, reachFaults, wants, webhookEndpoints, type WebhookEndpoint } from '../../domain/webhooks';

const FILE = `
endpoints:
  - id: servicenow
    url: https://example.service-now.com/api/x/keyturn
    secrets: [{ file: /run/secrets/new }, { env: OLD_SECRET }]
    events: [operation.succeeded, operation.failed]
    clusters: [/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/RG]
  - { id: chat, url: "https://chat.example:8443/hook", secrets: [{ env: CHAT }] }
`;

describe('the file of webhooks', () => {
  it('names endpoints, in YAML or JSON', () => {
    const { endpoints, faults } = webhookEndpoints(FILE);
    expect(faults).toEqual([]);
    expect(webhookEndpoints(JSON.stringify({ endpoints })).endpoints).toEqual(endpoints);
    const [servicenow, chat] = endpoints as [WebhookEndpoint, WebhookEndpoint];
    const at = (group: string): string =>
      `/subscriptions/11111111-2222-3333-4444-555555555555/resourcegroups/${group}/providers/Microsoft.ContainerService/managedClusters/a`;
    expect([hearsOf(servicenow, at('rg')), hearsOf(servicenow, at('rg2')), hearsOf(chat, at('rg2'))]).toEqual([
      true,
      false,
      true,
    ]);
    expect([wants(servicenow, { type: 'operation.blocked' }), wants(chat, { type: 'operation.blocked' })]).toEqual([
      false,
      true,
    ]);
  });

  it.each([
    ['a: [', /is not YAML/],
    ['endpoints: [{ id: a, url: "https://a.example", secrets: [{ value: whsec_x }] }]', /endpoints\.0\.secrets\.0/],
    ['endpoints: [{ id: a, url: "https://u:p@a.example", secrets: [{ env: A }] }]', /without user/],
    ['endpoints: [{ id: a, url: "ftp://a.example", secrets: [{ env: A }] }]', /must be an http/],
    ['endpoints: [{ id: a, url: "https://a.example", secrets: [] }]', /secrets/],
    ['endpoints: [{ id: a, url: "https://a.example", secrets: [{ env: A }], events: [operation.gone] }]', /events/],
    [
      'endpoints: [{ id: a, url: "https://a.example", secrets: [{ env: A }] }, { id: a, url: "https://a.example", secrets: [{ env: A }] }]',
      /two endpoints with the id a/,
    ],
  ])('is refused: %s', (text, fault) => {
    expect(webhookEndpoints(text).faults.join()).toMatch(fault);
  });

  it('may name only hosts of the list, by https, or by http on this machine where that is allowed', () => {
    const { endpoints } = webhookEndpoints(FILE);
    const hosts = ['example.service-now.com', 'chat.example:8443'];
    expect(reachFaults(endpoints, { hosts, httpToLoopback: false })).toEqual([]);
    expect(reachFaults(endpoints, { hosts: ['chat.example'], httpToLoopback: false })).toEqual([
      expect.stringContaining('example.service-now.com'),
      expect.stringContaining('chat.example:8443'),
    ]);
    const [plain] = endpoints.map((one) => ({ ...one, url: 'http://127.0.0.1:9/' }));
    const [far] = endpoints.map((one) => ({ ...one, url: 'http://example.service-now.com/' }));
    if (!plain || !far) throw new Error('There are no endpoints.');
    const local = ['127.0.0.1:9', 'example.service-now.com'];
    expect(reachFaults([plain], { hosts: local, httpToLoopback: true })).toEqual([]);
    expect(reachFaults([plain], { hosts: local, httpToLoopback: false })).toEqual([expect.stringContaining('https')]);
    expect(reachFaults([far], { hosts: local, httpToLoopback: true })).toEqual([expect.stringContaining('https')]);
  });
});
