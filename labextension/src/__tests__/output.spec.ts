import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { Feed } from '../feed';
import { Bundle, MIME, readBundle } from '../output/bundle';
import { DispatchOutput } from '../output/renderer';
import { sanitize } from '../output/sanitize';
import { StillSource } from '../output/still';
import { wholeOf } from '../output/sweep';
import { DispatchRow } from '../types';
import { electron, ID } from './rows';
import { Asked, LoopbackServer, row, Said } from './server';

const PATIENCE = { timeout: 10_000 };
const HOSTILE = '<img src=x onerror="window.hacked = true">';

let server: LoopbackServer | null = null;
let feed: Feed | null = null;
let output: DispatchOutput | null = null;

function bundle(change: Partial<Bundle> = {}): Bundle {
  return {
    version: 1,
    dispatch_id: ID,
    store_id: 'ours',
    as_of: 1_700_000_000,
    row: row(ID, { name: `kept ${HOSTILE}`, status: 'RUNNING', ended: null }),
    electrons: [electron(3, { name: HOSTILE, status: 'FAILED', error: { type: 'ValueError', message: HOSTILE } })],
    graph: null,
    result: null,
    more: 0,
    ...change
  };
}

async function show(answer: (path: string, asked: Asked) => Said | Promise<Said>, kept = bundle()): Promise<HTMLElement> {
  server = new LoopbackServer(asked => answer(asked.path.replace(/^.*\/covalent\//, ''), asked));
  feed = new Feed(await server.start());
  output = new DispatchOutput(feed, nullTranslator.load('covalent_jupyter'), memory => ({
    cancel: async id => {
      await feed!.request(`dispatches/${id}/cancel`, {}, { method: 'POST', body: '{"nodes":null}' });
    },
    redispatch: (id, reuse) => memory.redispatch(id, reuse)
  }));
  Widget.attach(output, document.body);
  const data = { [MIME]: JSON.parse(JSON.stringify(kept)) };
  await output.renderModel({ data, metadata: {}, trusted: false, setData: () => undefined });
  return output.node;
}

afterEach(async () => {
  output?.dispose();
  feed?.dispose();
  await server?.stop();
  output = feed = server = null;
});

/** A service that knows this dispatch. */
function service(status: 'RUNNING' | 'FAILED' | 'COMPLETED', name = 'experiment') {
  const ended = status === 'RUNNING' ? null : 1010;
  return (path: string, asked: Asked): Said | Promise<Said> => {
    const [, id, part] = path.split('/');
    const known = row(id ?? ID, { name, status, ended, seq: 5 });
    if (path === 'events') {
      return new Promise(() => undefined);
    }
    if (path === 'dispatches') {
      return { body: { dispatches: [], seq: 5, total: 1, next: null } };
    }
    if (part === 'redispatch') {
      return { status: 201, body: { dispatch_id: 'abcd0000-0000-4000-8000-000000000000' } };
    }
    const parts = [{ node: 0, name: 'best', path: '', status, preview: { type: 'float', repr: '42.5' }, child: null }];
    const answers: Record<string, unknown> = {
      electrons: { electrons: [electron(0, { status, name: 'best' })], total: 1, seq: 5 },
      graph: { nodes: [[0, 'best', 'electron', status, null]], edges: [], inputs: {} },
      result: { status, parts: status === 'COMPLETED' ? parts : [], total: 1, whole: true },
      cancel: { cancelled: [0] }
    };
    return { body: asked.method === 'POST' ? answers[part] : part ? answers[part] : known };
  };
}

/** A dispatch of a sweep. */
function part(id: string, name: string, change: Partial<DispatchRow>): DispatchRow {
  return row(id, { name, lattice: 'sweep of search', tags: ['mine', 'sweep:7e059a13'], seq: 9, ...change });
}

describe('a whole sweep', () => {
  const trans = nullTranslator.load('covalent_jupyter');
  const whole = (...rows: DispatchRow[]) => wholeOf(rows, 'sweep:7e059a13', trans);
  const first = part(ID, 'again × 4 again', { status: 'FAILED', counts: { total: 4, completed: 1, failed: 2, cancelled: 1 } });

  it('counts each point once', () => {
    expect(whole(first).words).toBe('1 of 4 points completed · 3 failed or cancelled');
    const again = part('b', 'again × 3 again', { counts: { total: 3, completed: 3 } });
    expect(whole(first, again)).toMatchObject({ status: 'COMPLETED', words: '4 points', counts: { total: 4, completed: 4 } });
    const more = part('c', 'again × 2 more', { status: 'RUNNING', counts: { total: 2, running: 1 } });
    expect(whole(first, again, more)).toMatchObject({
      status: 'RUNNING',
      words: '4 of 6 points completed · 1 running · 1 waiting'
    });
  });

  it('says what was cancelled', () => {
    const stopped = part(ID, 'x', { status: 'CANCELLED', counts: { total: 4, completed: 3, cancelled: 1 } });
    expect(whole(stopped)).toMatchObject({ status: 'CANCELLED', words: '3 of 4 points completed · 1 cancelled' });
    // where the first was deleted, what is left is counted
    expect(whole(part('b', 'x × 3 again', { counts: { total: 3, completed: 3 } })).words).toBe('3 points');
  });
});

describe('an output that is a dispatch', () => {
  it('shows what the notebook kept where nobody answers, and user text as text', async () => {
    const node = await show(() => ({ status: 502, body: { message: 'the service starts' } }));
    await vi.waitFor(() => expect(node.textContent).toContain('the service cannot be reached'), PATIENCE);
    expect(node.textContent).toContain(HOSTILE);
    expect(node.textContent).toContain('as of ');
    expect(node.querySelector('img')).toBeNull();
    expect(node.textContent).toContain(`ValueError: ${HOSTILE}`);
    expect(node.querySelector('.cv-nowRow .cv-number')?.textContent).toBe('1.0 s');
    // nobody can be asked to stop it
    expect([...node.querySelectorAll('button')].map(b => b.textContent)).not.toContain('Cancel');
  });

  it('is alive where the service knows it, and cancels by REST', async () => {
    const node = await show(service('RUNNING', 'live one'));
    await vi.waitFor(() => expect(node.querySelector('.cv-title')?.textContent).toBe('live one'), PATIENCE);
    expect(node.textContent).not.toContain('as of');
    const cancel = [...node.querySelectorAll('button')].find(b => b.textContent === 'Cancel')!;
    cancel.click();
    await vi.waitFor(
      () => expect(server!.asked.some(a => a.method === 'POST' && a.path.endsWith(`${ID}/cancel`))).toBe(true),
      PATIENCE
    );
  });

  it('says so where the id is of another store', async () => {
    const answer = (path: string): Said =>
      path === 'health'
        ? { body: { ok: true, store_id: 'theirs' } }
        : path === 'dispatches'
          ? { body: { dispatches: [], seq: 1, total: 0, next: null } }
          : { status: 404, body: { message: `no dispatch '${ID}'` } };
    const node = await show(answer);
    await vi.waitFor(() => expect(node.textContent).toContain('from another store'), PATIENCE);
    expect(node.textContent).toContain(HOSTILE);
  });

  it('shows the result when it has completed, and a new run below', async () => {
    const node = await show(service('COMPLETED'));
    await vi.waitFor(() => expect(node.querySelector('.cv-returned')?.textContent).toContain('42.5'), PATIENCE);
    await vi.waitFor(() => expect(node.querySelector('.cv-title')?.textContent).toBe('experiment'), PATIENCE);
    [...node.querySelectorAll('button')].find(b => b.textContent?.startsWith('Run Again'))!.click();
    await vi.waitFor(() => expect(node.querySelector('[role=menuitem]')).not.toBeNull(), PATIENCE);
    node.querySelector<HTMLElement>('[role=menuitem]')!.click();
    await vi.waitFor(() => expect(node.querySelectorAll('.cv-notebookPanel')).toHaveLength(2), PATIENCE);
    expect(server!.asked.find(a => a.path.endsWith('redispatch'))?.body).toBe('{"reuse":"none"}');
  });

  it('says what a sweep is as a whole, and shows any of its dispatches', async () => {
    const [MORE, AGAIN] = ['aaaa0000-0000-4000-8000-000000000000', 'bbbb0000-0000-4000-8000-000000000000'];
    const all = {
      [ID]: part(ID, 'search × 6', { status: 'FAILED', created: 1, counts: { total: 6, completed: 4, failed: 2 } }),
      [MORE]: part(MORE, 'search × 3 more', { status: 'COMPLETED', created: 2, counts: { total: 3, completed: 3 } })
    };
    const serve = service('FAILED');
    const node = await show((path, asked) => {
      const [, id, rest] = path.split('/');
      if (path === 'dispatches' && asked.query.get('tag') === 'sweep:7e059a13') {
        return { body: { dispatches: Object.values(all).reverse(), seq: 5, total: 3, next: null } };
      }
      if (rest === 'redispatch') {
        const again = { status: 'RUNNING' as const, ended: null, created: 3, counts: { total: 2, running: 1 } };
        Object.assign(all, { [AGAIN]: part(AGAIN, 'search × 2 again', again) });
        return { status: 201, body: { dispatch_id: AGAIN } };
      }
      return id && id in all && !rest ? { body: all[id] } : serve(path, asked);
    });
    const head = () => node.querySelector('.cv-sweep');
    await vi.waitFor(() => expect(head()?.textContent).toContain('7 of 9 points completed · 2 failed'), PATIENCE);
    const parts = () => [...node.querySelectorAll<HTMLElement>('.cv-sweepPart')];
    expect(parts().map(p => p.textContent)).toEqual(['✕ 6 points', '✓ 3 more']);
    expect(node.querySelectorAll('.cv-title')[1].textContent).toBe('search × 6');
    parts()[1].click();
    await vi.waitFor(() => expect(node.querySelectorAll('.cv-title')[1]?.textContent).toBe('search × 3 more'), PATIENCE);
    expect(parts().map(p => p.getAttribute('aria-pressed'))).toEqual(['false', 'true']);
    parts()[0].click();
    const rest = () => [...node.querySelectorAll('button')].find(b => b.textContent === 'Run Failed Again');
    await vi.waitFor(() => expect(rest()).toBeDefined(), PATIENCE);
    rest()!.click();
    await vi.waitFor(() => expect(head()?.textContent).toContain('7 of 9 points completed · 1 running · 1 waiting'), PATIENCE);
    await vi.waitFor(() => expect(node.querySelectorAll('.cv-title')[1]?.textContent).toBe('search × 2 again'), PATIENCE);
    expect(node.querySelectorAll('.cv-notebookPanel')).toHaveLength(1); // one panel
  });

  it('is no dispatch where the JSON is none', async () => {
    const node = await show(service('COMPLETED'), { dispatch_id: '../../x' } as Bundle);
    await vi.waitFor(() => expect(node.textContent).toContain('names no dispatch'), PATIENCE);
  });
});

it('reads bundles that anybody may have written', () => {
  for (const data of [null, 7, 'x', {}, { dispatch_id: 5 }, { dispatch_id: 'ABCD' }]) {
    expect(readBundle(data)).toBeNull();
  }
  const odd = { ...bundle(), row: { name: 5 }, electrons: [null, { node: 'x' }], graph: [], result: 'y' };
  expect(readBundle(odd)).toMatchObject({ row: null, electrons: [], graph: null, result: null });
});

it('asks nothing of anybody for what the notebook kept', async () => {
  const source = new StillSource(bundle());
  const page = await source.request<{ total: number }>(`dispatches/${ID}/electrons`, { status: 'FAILED' });
  expect(page.total).toBe(1);
  await expect(source.request(`dispatches/${ID}/cancel`, {}, { method: 'POST' })).rejects.toThrow('not saved');
  await expect(source.request('dispatches/ffff/graph')).rejects.toThrow('not saved');
  expect(source.now()).toBe(1_700_000_000);
});

it.each([
  ['<b onclick="x()">bold</b>', '<b>bold</b>'],
  [HOSTILE, ''],
  ['<script>x()</script><style>*{}</style>a', 'a'],
  ['<a href="javascript:x()">link</a>', 'link'],
  ['<table class="dataframe"><tr><td colspan="2" style="x">1</td></tr></table>', '<table><tbody><tr><td colspan="2">1</td></tr></tbody></table>'],
  ['<svg><g onload=x()><desc><b>in</b></desc></g></svg>', ''],
  ['<math><mtext><table><mglyph><style><img src=x onerror=x()>', ''],
  ['1 < 2 & 3', '1 &lt; 2 &amp; 3']
])('leaves nothing in %s that acts', (html, clean) => {
  expect(sanitize(html)).toBe(clean);
});
