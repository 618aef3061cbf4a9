/** Workload identity at the sandbox's Entra: a service account token in the place of a client secret. */
import { request, type Dispatcher } from 'undici';
import { TokenRefused, type PodTokens } from './contract';

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** Exchanges tokens over HTTPS, as azidentity does. @param dispatcher the way to the sandbox's proxy */
export function entraTokens(dispatcher: Dispatcher): PodTokens {
  return {
    async exchange(assertion, { clientId, tenantId, resource, loginHost }) {
      const url = `https://${loginHost}/${tenantId}/oauth2/v2.0/token`;
      const form = new URLSearchParams({
        client_id: clientId,
        scope: `${resource}/.default`,
        grant_type: 'client_credentials',
        client_assertion_type: JWT_BEARER,
        client_assertion: assertion,
      });
      const { statusCode, body } = await request(url, {
        method: 'POST',
        dispatcher,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: form.toString(),
      });
      const text = await body.text();
      if (statusCode !== 200) throw new TokenRefused(`POST ${url}`, statusCode, text);
      return (JSON.parse(text) as { access_token: string }).access_token;
    },
  };
}
