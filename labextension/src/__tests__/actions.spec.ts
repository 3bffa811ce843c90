import { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { expect, it, vi } from 'vitest';

import { Actions } from '../actions';
import { Feed } from '../feed';
import { CovalentModel } from '../model';
import { LoopbackServer, row } from './server';
import { FakeService } from './service';

const PATIENCE = { timeout: 10_000 };

it('asks before it stops what runs or has completed for long, and about nothing else', async () => {
  const service = new FakeService();
  const server = new LoopbackServer(service.answer);
  const feed = new Feed(await server.start());
  const model = new CovalentModel(feed);
  const actions = new Actions({} as JupyterFrontEnd, model, feed.overheard, nullTranslator.load('covalent_jupyter'));
  const old = { status: 'RUNNING', started: 1, created: 1, ended: null } as const;
  try {
    await actions.cancel([row('waits', { ...old, counts: { total: 5 } })]);
    expect(service.done.map(({ path }) => path)).toEqual(['dispatches/waits/cancel']);
    const asked = actions.cancel([row('runs', { ...old, counts: { total: 5, running: 1, completed: 2 } })]);
    const dialog = await vi.waitFor(() => {
      const found = document.querySelector<HTMLElement>('.jp-Dialog');
      expect(found?.textContent).toContain('Stop 1 running, keep 2 finished?');
      return found!;
    }, PATIENCE);
    expect(service.done).toHaveLength(1);
    dialog.querySelector<HTMLElement>('.jp-mod-reject')!.click();
    await asked;
    expect(service.done).toHaveLength(1);
  } finally {
    Dialog.flush();
    Notification.dismiss();
    model.dispose();
    feed.dispose();
    await server.stop();
  }
});
