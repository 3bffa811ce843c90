import { Notification } from '@jupyterlab/apputils';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import { expect, it, vi } from 'vitest';

import { ServiceSettings } from '../serviceSettings';
import { RequestError } from '../source';

/** Settings of JupyterLab, as the editor changes them. */
class Settings {
  readonly changed = new Signal<this, void>(this);
  readonly defaults: Record<string, unknown> = { executor: 'dask', daskAddress: '', workers: 0, idleMinutes: 30 };
  user: Record<string, unknown> = {};

  get composite(): Record<string, unknown> {
    return { ...this.defaults, ...this.user };
  }

  default(key: string): unknown {
    return this.defaults[key];
  }

  async set(key: string, value: unknown): Promise<void> {
    this.user = { ...this.user, [key]: value };
    this.changed.emit();
  }

  async remove(key: string): Promise<void> {
    const { [key]: _, ...rest } = this.user;
    this.user = rest;
    this.changed.emit();
  }
}

it('keeps the old value of what the service refuses, and says why', async () => {
  const sent: object[] = [];
  const service = { executor: 'local', dask_address: '', dask_n_workers: null, idle_timeout: 1800 };
  const request = async (_: string, __?: object, init?: RequestInit) => {
    if (init?.method === 'PATCH') {
      sent.push(JSON.parse(String(init.body)));
      throw new RequestError('refused', 400, "executor: there is no executor 'nonsense'");
    }
    return { settings: service };
  };
  const feed: any = { link: 'online', request };
  feed.linkChanged = new Signal<any, void>(feed);
  const settings = new Settings();
  new ServiceSettings(feed, settings as any, nullTranslator.load('covalent_jupyter'));
  await vi.waitFor(() => expect(settings.composite.executor).toBe('local'));
  const before = Notification.manager.notifications.length;
  await settings.set('executor', 'nonsense');
  await vi.waitFor(() => expect(settings.composite.executor).toBe('local'));
  expect(sent).toEqual([{ executor: 'nonsense' }]);
  const told = Notification.manager.notifications.slice(0, Notification.manager.notifications.length - before);
  expect(told.map(({ message }) => message).join()).toContain("there is no executor 'nonsense'");
});

it('shows what the service warns of', async () => {
  const service = { executor: 'dask', dask_address: '', dask_n_workers: null, idle_timeout: 1800 };
  const request = async (_: string, __?: object, init?: RequestInit) =>
    init?.method === 'PATCH'
      ? { settings: { ...service, ...JSON.parse(String(init.body)) }, warnings: ["there is no executor 'nosuch' here"] }
      : { settings: service };
  const feed: any = { link: 'online', request };
  feed.linkChanged = new Signal<any, void>(feed);
  const settings = new Settings();
  new ServiceSettings(feed, settings as any, nullTranslator.load('covalent_jupyter'));
  await new Promise(resolve => setTimeout(resolve)); // what it has is known
  await settings.set('executor', 'nosuch');
  const messages = () => Notification.manager.notifications.map(({ message, type }) => `${type}: ${message}`);
  await vi.waitFor(() => expect(messages()).toContain("warning: there is no executor 'nosuch' here"));
  expect(settings.composite.executor).toBe('nosuch');
});
