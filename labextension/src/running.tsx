import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Notification } from '@jupyterlab/apputils';
import { IRunningSessionManagers, IRunningSessions } from '@jupyterlab/running';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { Token } from '@lumino/coreutils';
import * as React from 'react';

import { CommandIDs } from './commands';
import { Feed } from './feed';
import { nameOf } from './format';
import { useChanges } from './hooks';
import { covalentIcon } from './icon';
import { Notifier, Telling } from './notifier';
import { messageOf } from './source';
import { IFeed } from './tokens';
import { DispatchRow } from './types';
import { Watcher } from './watcher';

const IWatcher = new Token<Watcher>('covalent-jupyter:IWatcher', 'The dispatches under way.');

/** What runs, looked at once JupyterLab stands, so that its start is not slower. */
export const watcherPlugin: JupyterFrontEndPlugin<Watcher> = {
  id: 'covalent-jupyter:watcher',
  description: 'Knows which dispatches are under way.',
  autoStart: true,
  requires: [IFeed],
  provides: IWatcher,
  activate: (app: JupyterFrontEnd, feed: Feed) => {
    const watcher = new Watcher(feed);
    void app.restored.then(() => window.setTimeout(() => void watcher.look(), 1000));
    return watcher;
  }
};

/** Dispatches in JupyterLab's own list of what runs. */
export const runningPlugin: JupyterFrontEndPlugin<void> = {
  id: 'covalent-jupyter:running',
  description: 'Dispatches in the panel "Running Terminals and Kernels".',
  autoStart: true,
  requires: [IWatcher],
  optional: [IRunningSessionManagers, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    watcher: Watcher,
    managers: IRunningSessionManagers | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('covalent_jupyter');
    managers?.add(runningDispatches(app.commands, watcher, trans));
  }
};

function runningDispatches(
  commands: CommandRegistry,
  watcher: Watcher,
  trans: TranslationBundle
): IRunningSessions.IManager {
  const cancel = (row: DispatchRow) =>
    watcher.cancel(row.dispatch_id).catch(error => {
      Notification.error(trans.__('%1 was not cancelled: %2', nameOf(row), messageOf(error)));
    });
  const item = (row: DispatchRow): IRunningSessions.IRunningItem => ({
    icon: () => covalentIcon,
    label: () => nameOf(row),
    labelTitle: () => `${nameOf(row)}\n${row.dispatch_id}`,
    detail: () => trans.__('%1 of %2', row.counts.completed ?? 0, row.counts.total ?? 0),
    open: () => {
      const { openDispatch, showDispatches } = CommandIDs;
      const command = commands.hasCommand(openDispatch) ? openDispatch : showDispatches;
      void commands.execute(command, { dispatch_id: row.dispatch_id });
    },
    shutdown: () => void cancel(row)
  });
  return {
    name: trans.__('Dispatches'),
    running: () => watcher.running.map(item),
    runningChanged: watcher.changed,
    refreshRunning: () => void watcher.look(),
    shutdownAll: () => watcher.running.forEach(row => void cancel(row)),
    shutdownLabel: trans.__('Cancel'),
    shutdownAllLabel: trans.__('Cancel All'),
    shutdownAllConfirmationText: trans.__('Cancel all dispatches that are under way? What has finished is kept.')
  };
}

/** How many dispatches are under way, in the status bar. */
export const statusPlugin: JupyterFrontEndPlugin<void> = {
  id: 'covalent-jupyter:status',
  description: 'The number of dispatches under way, in the status bar.',
  autoStart: true,
  requires: [IWatcher],
  optional: [IStatusBar, ITranslator],
  activate: (app: JupyterFrontEnd, watcher: Watcher, bar: IStatusBar | null, translator: ITranslator | null) => {
    if (bar) {
      const trans = (translator ?? nullTranslator).load('covalent_jupyter');
      const item = ReactWidget.create(<Running watcher={watcher} commands={app.commands} trans={trans} />);
      item.addClass('jp-Covalent-status');
      bar.registerStatusItem('covalent-jupyter:status', {
        item,
        align: 'left',
        rank: 5,
        isActive: () => watcher.running.length > 0,
        activeStateChanged: watcher.changed
      });
    }
  }
};

function Running(props: { watcher: Watcher; commands: CommandRegistry; trans: TranslationBundle }): JSX.Element {
  const { watcher, commands, trans } = props;
  useChanges(watcher);
  const count = watcher.running.length;
  return (
    <button
      title={watcher.running.slice(0, 10).map(nameOf).join('\n')}
      onClick={() => void commands.execute(CommandIDs.showDispatches)}
    >
      {trans._n('%1 dispatch', '%1 dispatches', count)}
    </button>
  );
}

/** Tells the end, or the first failure, of dispatches. */
export const notificationPlugin: JupyterFrontEndPlugin<void> = {
  id: 'covalent-jupyter:notifications',
  description: 'Tells when dispatches end or fail.',
  autoStart: true,
  requires: [IFeed, IWatcher],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    feed: Feed,
    watcher: Watcher,
    settings: ISettingRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('covalent_jupyter');
    const notifier = new Notifier(watcher, () => feed.now(), feed.overheard, app.commands, trans);
    void settings?.load('covalent-jupyter:plugin').then(found => {
      const read = () => {
        notifier.telling = (found.composite.notifications as Telling) ?? 'asked';
        const wanted = found.composite.browserNotifications === true;
        if (wanted && !notifier.byBrowser && 'Notification' in window && window.Notification.permission === 'default') {
          void window.Notification.requestPermission();
        }
        notifier.byBrowser = wanted;
        feed.isPatient = wanted;
      };
      found.changed.connect(read);
      read();
    });
  }
};
