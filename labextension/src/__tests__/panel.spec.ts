import { nullTranslator } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Widget } from '@lumino/widgets';
import { afterEach, expect, it, vi } from 'vitest';

import { CovalentModel } from '../model';
import { CovalentPanel } from '../panel';
import { LoopbackServer, row, Said } from './server';

/** A busy machine takes its time. */
const PATIENCE = { timeout: 10_000 };

let server: LoopbackServer;
let panel: CovalentPanel;

async function show(answer: (path: string) => Said | Promise<Said>): Promise<HTMLElement> {
  server = new LoopbackServer(asked => answer(asked.path.replace(/^.*\/covalent\//, '')));
  const model = new CovalentModel(await server.start());
  panel = new CovalentPanel(model, new CommandRegistry(), nullTranslator.load('covalent_jupyter'));
  Widget.attach(panel, document.body);
  return panel.node;
}

afterEach(async () => {
  panel.dispose();
  await server.stop();
});

function service(rows: object[]) {
  return (path: string): Said | Promise<Said> => {
    if (path === 'events') {
      return new Promise(() => undefined);
    }
    const health = { ok: true, version: '0.1.0', pid: 1, store: '/s', host: 'h', started: 0, running: 0 };
    return { body: path === 'health' ? health : { dispatches: rows, seq: 1, total: rows.length, next: null } };
  };
}

it('draws rows with sign, word, id and the first line of the error, as text', async () => {
  const node = await show(
    service([
      row('7e059a13', { status: 'RUNNING', ended: null, counts: { total: 34, completed: 18, running: 3, failed: 1 } }),
      row('e5e2aaaa', { status: 'FAILED', name: '<b>relax</b>', error: '\nValueError in split: bad\nmore' })
    ])
  );
  await vi.waitFor(() => expect(node.querySelectorAll('.jp-Covalent-row')).toHaveLength(2), PATIENCE);
  const [running, failed] = node.querySelectorAll('.jp-Covalent-row');
  expect(running.querySelector('.jp-Covalent-sign')?.getAttribute('aria-label')).toBe('running');
  expect(running.textContent).toContain('18 of 34');
  expect(running.textContent).toContain('1 failed');
  expect(running.querySelector('.jp-Covalent-bar')?.getAttribute('aria-valuenow')).toBe('18');
  expect(running.querySelector('.jp-Covalent-cancel')).not.toBeNull();
  expect(failed.querySelector('.jp-Covalent-name')?.textContent).toBe('<b>relax</b>');
  expect(failed.textContent).toContain('ValueError in split: bad');
  expect(failed.textContent).not.toContain('more');
  expect(failed.querySelector('.jp-Covalent-id')?.textContent).toBe('e5e2');
  expect(failed.querySelector('.jp-Covalent-cancel')).toBeNull();
});

it('shows a first example where nothing was dispatched', async () => {
  const node = await show(service([]));
  await vi.waitFor(() => expect(node.textContent).toContain('Nothing was dispatched yet'), PATIENCE);
  expect(node.textContent).toContain('import covalent_jupyter as ct');
});

it('says what to run where the server extension is missing', async () => {
  const node = await show(() => ({ status: 404, body: 'Not Found', foreign: true }));
  await vi.waitFor(() => expect(node.textContent).toContain('jupyter server extension enable covalent_jupyter'), PATIENCE);
  expect(node.querySelector('[role=status]')?.textContent).toBe('server extension missing');
});

it('says that the service is starting', async () => {
  const node = await show(() => ({ status: 503, body: { message: 'waiting for the lock' } }));
  await vi.waitFor(() => expect(node.textContent).toContain('The service is starting'), PATIENCE);
  expect(node.textContent).toContain('waiting for the lock');
});
