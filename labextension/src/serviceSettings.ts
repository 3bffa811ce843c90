import { Notification } from '@jupyterlab/apputils';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { TranslationBundle } from '@jupyterlab/translation';
import { JSONExt, JSONValue, ReadonlyPartialJSONValue } from '@lumino/coreutils';

import { Feed } from './feed';
import { messageOf, post } from './source';
import { Config } from './types';

interface Twin {
  /** Name in the service's configuration. */
  name: string;
  fromService: (value: unknown) => JSONValue;
  toService: (value: ReadonlyPartialJSONValue | undefined) => JSONValue;
}

const same = (name: string): Twin => ({
  name,
  fromService: value => String(value ?? ''),
  toService: value => String(value ?? '')
});

/** Settings of JupyterLab that are the service's: by the name that they have here. */
const TWINS: Record<string, Twin> = {
  executor: same('executor'),
  daskAddress: same('dask_address'),
  workers: {
    name: 'dask_n_workers',
    fromService: value => Number(value ?? 0),
    toService: value => Number(value ?? 0) || null
  },
  idleMinutes: {
    name: 'idle_timeout',
    fromService: value => Number(value ?? 0) / 60,
    toService: value => Number(value ?? 0) * 60
  }
};

/**
 * Keeps the service's settings and those of JupyterLab's settings editor the same.
 *
 * What the service says counts: it has its settings from files, variables and other clients too.
 */
export class ServiceSettings {
  constructor(
    private readonly feed: Feed,
    private readonly settings: ISettingRegistry.ISettings,
    private readonly trans: TranslationBundle
  ) {
    feed.linkChanged.connect(this._onLink, this);
    settings.changed.connect(this._onChanged, this);
    this._onLink();
  }

  private _onLink(): void {
    if (this.feed.link === 'online') {
      void this.pull();
    }
  }

  private _onChanged(): void {
    if (!this.pulling && this.known) {
      void this.push(this.known);
    }
  }

  /** What the service has, here. */
  private async pull(): Promise<void> {
    try {
      const { settings } = await this.feed.request<Config>('config');
      this.known = settings;
      this.pulling = true;
      for (const [key, twin] of Object.entries(TWINS)) {
        const value = twin.fromService(settings[twin.name]);
        if (JSONExt.deepEqual(value, this.settings.default(key) as JSONValue)) {
          if (this.settings.user[key] !== undefined) {
            await this.settings.remove(key);
          }
        } else if (!JSONExt.deepEqual(value, this.settings.composite[key] as JSONValue)) {
          await this.settings.set(key, value);
        }
      }
    } catch {
      return; // the feed says what is wrong
    } finally {
      this.pulling = false;
    }
  }

  /** What was changed here, there. */
  private async push(known: Config['settings']): Promise<void> {
    const changes: Record<string, JSONValue> = {};
    for (const [key, twin] of Object.entries(TWINS)) {
      const value = twin.toService(this.settings.composite[key]);
      if (!JSONExt.deepEqual(value, (known[twin.name] ?? null) as JSONValue)) {
        changes[twin.name] = value;
      }
    }
    if (Object.keys(changes).length === 0) {
      return;
    }
    try {
      const { settings, warnings } = await this.feed.request<Config>('config', {}, post(changes, 'PATCH'));
      this.known = settings;
      (warnings ?? []).forEach(warning => Notification.warning(warning));
    } catch (error) {
      Notification.error(this.trans.__('The service keeps its settings: %1', messageOf(error)));
      await this.pull();
    }
  }

  private known: Config['settings'] | null = null;
  private pulling = false;
}
