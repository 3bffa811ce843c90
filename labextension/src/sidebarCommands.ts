import { JupyterFrontEnd } from '@jupyterlab/application';
import { Dialog, Notification, showDialog } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { ReadonlyJSONObject, ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { Actions, Reuse } from './actions';
import { resultCell } from './cells';
import { CommandIDs } from './commands';
import { says } from './dialogs';
import { nameOf } from './format';
import { covalentIcon } from './icon';
import { Grouping, GROUPINGS } from './filter';
import { Notebooks } from './notebooks';
import { CovalentPanel } from './panel';
import { messageOf } from './source';
import { hasEnded, restWords } from './states';
import { Subject } from './subject';
import { DispatchRow } from './types';

type Args = ReadonlyPartialJSONObject;

interface Parts {
  app: JupyterFrontEnd;
  panel: CovalentPanel;
  /** What a command without arguments is about. */
  subject: Subject;
  notebooks: Notebooks | null;
  trans: TranslationBundle;
}

const NO_ARGUMENTS: ReadonlyJSONObject = { type: 'object', properties: {} };

/** Arguments of commands about dispatches. */
function aboutDispatches(more: ReadonlyJSONObject = {}): ReadonlyJSONObject {
  return {
    type: 'object',
    properties: {
      dispatch_id: { type: 'string', description: 'The whole id of a dispatch' },
      dispatch_ids: { type: 'array', items: { type: 'string' }, description: 'Ids of several dispatches' },
      ...more
    }
  };
}

/** All commands of the sidebar. Those about dispatches are, without arguments, about what is selected or in front. */
export function addCommands(parts: Parts): void {
  addPanelCommands(parts);
  addGrouping(parts);
  addDispatchCommands(parts);
  addNotebookCommands(parts);
  addServiceCommands(parts);
}

function addPanelCommands({ app, panel, trans }: Parts): void {
  const { commands } = app;
  const { model } = panel;
  commands.addCommand(CommandIDs.showDispatches, {
    label: trans.__('Show Covalent Dispatches'),
    caption: trans.__('Show the dispatches in the sidebar'),
    icon: covalentIcon,
    describedBy: { args: NO_ARGUMENTS },
    execute: () => app.shell.activateById(panel.id)
  });
  commands.addCommand(CommandIDs.refresh, {
    label: trans.__('Refresh Dispatches'),
    caption: trans.__('Ask the service anew'),
    icon: refreshIcon,
    describedBy: { args: NO_ARGUMENTS },
    execute: () => {
      if (!panel.isVisible) {
        app.shell.activateById(panel.id);
      }
      panel.service.feed.refresh();
      void panel.service.weigh().catch(() => undefined);
    }
  });
  commands.addCommand(CommandIDs.selectAll, {
    label: trans.__('Select All Dispatches'),
    describedBy: { args: NO_ARGUMENTS },
    isEnabled: () => model.totals.all > 0,
    execute: () => model.selectAll()
  });
}

/** How the list is grouped. */
function addGrouping({ app, panel, trans }: Parts): void {
  const { model } = panel;
  const labels: Record<Grouping, string> = {
    day: trans.__('Group by Day'),
    lattice: trans.__('Group by Lattice'),
    notebook: trans.__('Group by Notebook')
  };
  app.commands.addCommand(CommandIDs.groupBy, {
    label: args => labels[String(args.by) as Grouping] ?? trans.__('Group Dispatches'),
    describedBy: { args: { type: 'object', properties: { by: { type: 'string', enum: [...GROUPINGS] } } } },
    isToggleable: true,
    isToggled: args => model.grouping === args.by,
    execute: args => model.chooseGrouping(GROUPINGS.find(grouping => grouping === args.by) ?? 'day')
  });
}

/** The rows that a command is about, as far as they are known at once. */
function known({ panel, subject }: Parts, args: Args): DispatchRow[] {
  return panel.model.rows(idsOf(subject, args));
}

function idsOf(subject: Subject, args: Args): string[] {
  if (Array.isArray(args.dispatch_ids)) {
    return args.dispatch_ids.map(String);
  }
  return args.dispatch_id === undefined ? subject.ids : [String(args.dispatch_id)];
}

/** The same, fetched where the sidebar does not have them. */
async function rowsOf({ panel: { model }, subject }: Parts, args: Args): Promise<DispatchRow[]> {
  const fetched = idsOf(subject, args).map(
    id => model.row(id) ?? model.source.request<DispatchRow>(`dispatches/${encodeURIComponent(id)}`)
  );
  return Promise.all(fetched);
}

function addDispatchCommands(parts: Parts): void {
  const { app, panel, subject, trans } = parts;
  const { commands } = app;
  const { model } = panel;
  const actions = new Actions(app, model, panel.service.feed.overheard, trans);
  const count = (args: Args) => idsOf(subject, args).length;
  /** Where nothing is known of a dispatch, the service will say whether it can be done. */
  const some = (args: Args, test: (row: DispatchRow) => boolean) => {
    const rows = known(parts, args);
    return rows.length < count(args) || rows.some(test);
  };
  const add = (id: string, options: CommandRegistry.ICommandOptions) =>
    commands.addCommand(id, {
      ...options,
      execute: async args => {
        try {
          return await options.execute(args);
        } catch (error) {
          Notification.error(messageOf(error));
        }
      }
    });

  add(CommandIDs.openSelected, {
    label: trans.__('Open'),
    caption: trans.__('Open the page of the dispatch'),
    describedBy: { args: aboutDispatches() },
    isVisible: args => commands.hasCommand(CommandIDs.openDispatch) && count(args) > 0,
    execute: args =>
      idsOf(subject, args).forEach(dispatch_id => void commands.execute(CommandIDs.openDispatch, { dispatch_id }))
  });
  add(CommandIDs.compareSelected, {
    label: args => trans.__('Compare %1 Dispatches', count(args)),
    describedBy: { args: aboutDispatches() },
    isVisible: args => commands.hasCommand(CommandIDs.compare) && count(args) > 1,
    execute: args => commands.execute(CommandIDs.compare, { dispatch_ids: idsOf(subject, args) })
  });
  add(CommandIDs.cancel, {
    label: args => (count(args) > 1 ? trans.__('Cancel %1 Dispatches', count(args)) : trans.__('Cancel Dispatch')),
    caption: trans.__('Stop what runs of a dispatch, and start nothing more of it'),
    describedBy: { args: aboutDispatches() },
    isEnabled: args => count(args) > 0 && some(args, row => !hasEnded(row) && !model.isCancelling(row.dispatch_id)),
    isVisible: args => some(args, row => !hasEnded(row)),
    execute: async args => actions.cancel(await rowsOf(parts, args))
  });
  add(CommandIDs.redispatch, {
    label: args => redispatchLabel(String(args.reuse ?? 'none'), count(args), known(parts, args), trans),
    caption: args =>
      args.reuse === 'failed'
        ? trans.__('As a new dispatch, with the recorded code and inputs; completed electrons keep their values')
        : trans.__('As a new dispatch, with the recorded code and inputs'),
    describedBy: { args: aboutDispatches({ reuse: { type: 'string', enum: ['none', 'changed', 'failed'] } }) },
    isEnabled: args => count(args) > 0 && some(args, row => row.parent_id === null),
    isVisible: args => args.reuse !== 'failed' || some(args, hasFailed),
    execute: async args => {
      const reuse = String(args.reuse ?? 'none') as Reuse;
      const rows = (await rowsOf(parts, args)).filter(row => row.parent_id === null);
      return actions.redispatch(reuse === 'failed' ? rows.filter(hasFailed) : rows, reuse);
    }
  });
  add(CommandIDs.copyId, {
    label: args => (count(args) > 1 ? trans.__('Copy Ids') : trans.__('Copy Id')),
    caption: trans.__('Copy the whole id of a dispatch'),
    describedBy: { args: aboutDispatches() },
    isEnabled: args => count(args) > 0,
    execute: async args => actions.copy(await rowsOf(parts, args))
  });
  add(CommandIDs.rename, {
    label: trans.__('Rename…'),
    describedBy: { args: aboutDispatches({ label: { type: 'string' } }) },
    isEnabled: args => count(args) === 1,
    isVisible: args => count(args) === 1,
    execute: async args => {
      // Not a moment passes where the row is known: the keys that come next are the name.
      const row = known(parts, args)[0] ?? (await rowsOf(parts, args))[0];
      if (args.label !== undefined) {
        await actions.rename(row, String(args.label));
      } else if (!model.selection.has(row.dispatch_id)) {
        await actions.askForName(row);
      } else {
        if (!panel.isVisible) {
          app.shell.activateById(panel.id);
        }
        model.selection.only(row.dispatch_id);
        model.reveal(row.dispatch_id);
        model.renaming = row.dispatch_id;
      }
    }
  });
  add(CommandIDs.tag, {
    label: trans.__('Tag…'),
    describedBy: { args: aboutDispatches({ tags: { type: 'array', items: { type: 'string' } } }) },
    isEnabled: args => count(args) > 0,
    execute: async args =>
      actions.tag(await rowsOf(parts, args), Array.isArray(args.tags) ? args.tags.map(String) : undefined)
  });
  add(CommandIDs.note, {
    label: trans.__('Note…'),
    describedBy: { args: aboutDispatches({ note: { type: 'string' } }) },
    isEnabled: args => count(args) === 1,
    isVisible: args => count(args) === 1,
    execute: async args => {
      const [row] = await rowsOf(parts, args);
      return actions.note(row, args.note === undefined ? undefined : String(args.note));
    }
  });
  add(CommandIDs.deleteDispatch, {
    label: args => (count(args) > 1 ? trans.__('Delete %1 Dispatches…', count(args)) : trans.__('Delete…')),
    describedBy: { args: aboutDispatches() },
    isEnabled: args => count(args) > 0 && some(args, row => hasEnded(row) && row.parent_id === null),
    execute: async args => {
      await actions.delete(await rowsOf(parts, args));
      void panel.service.weigh().catch(() => undefined);
    }
  });
}

/** Whether there is something that "Run Failed Again" or "Continue" would run. */
function hasFailed(row: DispatchRow): boolean {
  return row.status === 'FAILED' || row.status === 'CANCELLED' || (hasEnded(row) && (row.counts.failed ?? 0) > 0);
}

function redispatchLabel(reuse: string, count: number, rows: DispatchRow[], trans: TranslationBundle): string {
  if (reuse === 'failed') {
    return restWords(rows.filter(hasFailed), trans);
  }
  if (reuse === 'changed') {
    return trans.__('Run Again, Reuse What Is There');
  }
  return count > 1 ? trans.__('Run %1 Dispatches Again', count) : trans.__('Run Again');
}

function addNotebookCommands(parts: Parts): void {
  const { app, subject, notebooks, trans } = parts;
  const { commands } = app;
  const one = (args: Args) => {
    const rows = known(parts, args);
    return rows.length === 1 ? rows[0] : undefined;
  };
  commands.addCommand(CommandIDs.insertCell, {
    label: trans.__('Insert Cell'),
    caption: trans.__('Insert a cell with this code below the active one'),
    describedBy: { args: { type: 'object', properties: { code: { type: 'string' } }, required: ['code'] } },
    isEnabled: () => Boolean(notebooks?.current),
    execute: args => {
      if (!notebooks?.insert(String(args.code ?? ''))) {
        Notification.info(trans.__('Open a notebook first: the code goes below its active cell.'));
        return;
      }
      const panel = notebooks.tracker.currentWidget;
      if (panel) {
        app.shell.activateById(panel.id);
      }
    }
  });
  commands.addCommand(CommandIDs.insertFetch, {
    label: trans.__('Insert Code That Fetches the Result'),
    describedBy: { args: aboutDispatches() },
    isEnabled: args => Boolean(notebooks?.current) && idsOf(subject, args).length > 0,
    isVisible: () => notebooks !== null,
    execute: args => commands.execute(CommandIDs.insertCell, { code: resultCell(...idsOf(subject, args)) })
  });
  commands.addCommand(CommandIDs.goToCell, {
    label: trans.__('Go to Cell'),
    caption: trans.__('Show the cell that made the dispatch, in its open notebook'),
    describedBy: { args: aboutDispatches() },
    isVisible: args => Boolean(one(args) && notebooks?.find(one(args) as DispatchRow)),
    execute: async args => {
      const row = one(args);
      const panel = row && (await notebooks?.goTo(row));
      if (panel) {
        app.shell.activateById(panel.id);
      } else if (row) {
        Notification.info(trans.__('No cell of the open notebooks shows %1.', nameOf(row)));
      }
    }
  });
}

/** JupyterLab's own. */
const SETTINGS_EDITOR = 'settingeditor:open';

function addServiceCommands({ app, panel, trans }: Parts): void {
  const { commands } = app;
  const { service, model } = panel;
  const online = () => service.feed.link === 'online' && service.doing === '';
  const add = (id: string, label: string, isEnabled: () => boolean, execute: () => Promise<unknown>) =>
    commands.addCommand(id, {
      label,
      describedBy: { args: NO_ARGUMENTS },
      isEnabled,
      execute: async () => {
        try {
          await execute();
        } catch (error) {
          Notification.error(messageOf(error));
        }
      }
    });
  const unlessBusy = async (title: string, accept: string, action: () => Promise<void>) => {
    const { running } = model.totals;
    const body = trans._n(
      '%1 dispatch is under way. What runs goes on; what waits starts when the service runs again.',
      '%1 dispatches are under way. What runs goes on; what waits starts when the service runs again.',
      running
    );
    if (running === 0 || (await confirmed(title, body, accept, trans.__('Cancel')))) {
      await action();
    }
  };
  add(
    CommandIDs.startService,
    trans.__('Start Service'),
    () => service.feed.link === 'stopped' && service.doing === '',
    () => service.startService()
  );
  add(CommandIDs.restartService, trans.__('Restart Service'), online, () =>
    unlessBusy(trans.__('Restart the service?'), trans.__('Restart'), () => service.restartService())
  );
  add(CommandIDs.stopService, trans.__('Stop Service'), online, () =>
    unlessBusy(trans.__('Stop the service?'), trans.__('Stop'), () => service.stopService())
  );
  add(
    CommandIDs.restartCluster,
    trans.__('Restart Cluster'),
    () => online() && service.executors.some(executor => executor.name === 'dask'),
    async () => {
      const title = trans.__('Restart the cluster?');
      const body = trans.__('Electrons that run on it are run again.');
      if (model.totals.running === 0 || (await confirmed(title, body, trans.__('Restart'), trans.__('Cancel')))) {
        await service.restartCluster();
      }
    }
  );
  commands.addCommand(CommandIDs.openSettings, {
    label: trans.__('Settings…'),
    caption: trans.__('Executor, cluster, idle time, notifications, and what the sidebar shows'),
    describedBy: { args: NO_ARGUMENTS },
    isVisible: () => commands.hasCommand(SETTINGS_EDITOR),
    execute: () => commands.execute(SETTINGS_EDITOR, { query: 'Covalent' })
  });
  add(CommandIDs.showDisk, trans.__('Disk Usage…'), online, async () => {
    const { showDiskUsage } = await import('./disk');
    await showDiskUsage(panel, trans, filter => {
      app.shell.activateById(panel.id);
      model.setFilter(filter);
    });
  });
}

async function confirmed(title: string, text: string, accept: string, reject: string): Promise<boolean> {
  const buttons = [Dialog.cancelButton({ label: reject }), Dialog.warnButton({ label: accept })];
  return (await showDialog({ title, body: says(text), buttons })).button.accept;
}
