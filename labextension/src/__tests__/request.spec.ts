import { afterEach, describe, expect, it, vi } from 'vitest';

import { requestAPI } from '../request';
import { RequestError } from '../source';
import { LoopbackServer, Said } from './server';

let server: LoopbackServer;

afterEach(() => {
  vi.restoreAllMocks();
  return server.stop();
});

async function ask(said: Said, query = {}) {
  server = new LoopbackServer(() => said);
  return requestAPI<unknown>(await server.start(), 'dispatches', query);
}

async function refusal(said: Said): Promise<RequestError> {
  return ask(said).then(
    () => Promise.reject(new Error('it was answered')),
    error => error
  );
}

describe('requestAPI', () => {
  it('asks below the base URL, with the token and what is set of the query', async () => {
    const answer = await ask({ body: { dispatches: [] } }, { q: 'a b', status: undefined, before: '' });
    expect(answer.data).toEqual({ dispatches: [] });
    const [asked] = server.asked;
    expect(asked.path).toBe('/user/a%40b/covalent/dispatches');
    expect(Object.fromEntries(asked.query)).toEqual({ q: 'a b', no_track_activity: '1' });
    expect(asked.headers.authorization).toBe('token secret');
  });

  it('tells a missing extension from a missing dispatch', async () => {
    for (const body of ['<html>', { message: 'Not Found' }]) {
      const jupyter = await refusal({ status: 404, body, foreign: true });
      expect(jupyter.trouble).toBe('missing');
      await server.stop();
    }
    const ours = await refusal({ status: 404, body: { message: "no dispatch 'x'" } });
    expect(ours).toMatchObject({ trouble: 'refused', status: 404, message: "no dispatch 'x'" });
  });

  it.each([502, 503, 504])('takes %i for a service that is not there yet', async status => {
    const error = await refusal({ status, body: { message: 'starting' } });
    expect(error).toMatchObject({ trouble: 'starting', message: 'starting' });
  });

  it('names a server that does not answer', async () => {
    server = new LoopbackServer(() => ({ body: {} }));
    const settings = await server.start();
    await server.stop();
    await expect(requestAPI(settings, 'health')).rejects.toMatchObject({ trouble: 'unreachable' });
    await server.start();
  });

  it('measures how far the clocks are apart', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    const answer = await ask({ body: {}, headers: { Date: date } });
    expect(Math.abs(answer.skew! - 3600)).toBeLessThan(5);
  });

  it('takes the wait of an answer that was held back for no difference of clocks', async () => {
    const begun = Date.now();
    const clock = vi.spyOn(Date, 'now').mockReturnValue(begun);
    server = new LoopbackServer(() => {
      clock.mockReturnValue(begun + 25_000);
      return { body: {}, headers: { Date: new Date(begun).toUTCString() } };
    });
    const answer = await requestAPI(await server.start(), 'events');
    expect(answer.skew).toBeNull();
  });
});
