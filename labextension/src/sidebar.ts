import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { JSONObject } from '@lumino/coreutils';

import { CommandIDs } from './commands';
import { Feed } from './feed';
import { Filter, Grouping } from './filter';
import { CovalentModel } from './model';
import { Notebooks } from './notebooks';
import { CovalentPanel } from './panel';
import { ServiceModel } from './service';
import { ServiceSettings } from './serviceSettings';
import { addCommands } from './sidebarCommands';
import { dispatchOf, Subject } from './subject';
import { IFeed } from './tokens';
import { View } from './view';

const ID = 'covalent-jupyter:plugin';

/** The sidebar. Every token but our own is optional, so that it loads in Notebook 7 too. */
export const sidebarPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'The list of dispatches in the left sidebar.',
  autoStart: true,
  requires: [IFeed],
  optional: [ITranslator, ICommandPalette, ILayoutRestorer, INotebookTracker, ISettingRegistry, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    feed: Feed,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null,
    tracker: INotebookTracker | null,
    settings: ISettingRegistry | null,
    state: IStateDB | null
  ) => {
    const trans = (translator ?? nullTranslator).load('covalent_jupyter');
    const model = new CovalentModel(feed);
    const service = new ServiceModel(feed);
    const view = new View();
    const panel = new CovalentPanel(model, service, view, app.commands, trans);
    const notebooks = tracker && new Notebooks(tracker);
    const subject = new Subject(panel, () => model.selection.ids, () => dispatchOf(app.shell.currentWidget));
    addCommands({ app, panel, subject, notebooks, trans });
    if (palette) {
      fillPalette(app, palette, model, trans.__('Covalent'));
    }
    app.shell.add(panel, 'left', { rank: 300, type: 'Covalent' });
    restorer?.add(panel, panel.id);
    if (notebooks) {
      followNotebook(notebooks, view);
    }
    if (settings) {
      void settings.load(ID).then(found => {
        const read = () => {
          const { groupBy, showInputs, showTags } = found.composite;
          view.set({ showInputs: showInputs !== false, showTags: showTags !== false });
          model.setGrouping((groupBy as Grouping) ?? 'day');
        };
        found.changed.connect(read);
        read();
        new ServiceSettings(feed, found, trans);
        model.groupingChosen.connect((_, grouping) => void found.set('groupBy', grouping));
      });
    }
    if (state) {
      void keepState(app, model, state);
    }
  }
};

/** About dispatches: the palette shows those that can be done with what is selected or in front. */
const ABOUT_DISPATCHES: { command: string; args?: JSONObject }[] = [
  { command: CommandIDs.openSelected },
  { command: CommandIDs.compareSelected },
  { command: CommandIDs.cancel },
  { command: CommandIDs.redispatch },
  { command: CommandIDs.redispatch, args: { reuse: 'failed' } },
  { command: CommandIDs.rename },
  { command: CommandIDs.tag },
  { command: CommandIDs.note },
  { command: CommandIDs.deleteDispatch },
  { command: CommandIDs.copyId },
  { command: CommandIDs.goToCell },
  { command: CommandIDs.insertFetch }
];

function fillPalette(app: JupyterFrontEnd, palette: ICommandPalette, model: CovalentModel, category: string): void {
  const { showDispatches, refresh, openSettings } = CommandIDs;
  const { startService, stopService, restartService, restartCluster, showDisk } = CommandIDs;
  const others = [showDispatches, refresh, startService, stopService, restartService, restartCluster, showDisk, openSettings];
  [...ABOUT_DISPATCHES, ...others.map(command => ({ command }))].forEach(item => palette.addItem({ ...item, category }));
  model.selection.changed.connect(() =>
    ABOUT_DISPATCHES.forEach(({ command }) => app.commands.notifyCommandChanged(command))
  );
}

function followNotebook(notebooks: Notebooks, view: View): void {
  const tell = () => view.set({ notebook: notebooks.current });
  notebooks.tracker.currentChanged.connect((_, panel) => {
    panel?.context.pathChanged.connect(tell);
    tell();
  });
  tell();
}

/** What was filtered and opened is so again after a reload. */
async function keepState(app: JupyterFrontEnd, model: CovalentModel, state: IStateDB): Promise<void> {
  const key = `${ID}:list`;
  await app.restored;
  const kept = (await state.fetch(key)) as { filter?: Partial<Filter>; open?: string[] } | undefined;
  if (kept?.open) {
    model.restoreOpen(kept.open);
  }
  if (kept?.filter) {
    model.setFilter(kept.filter);
  }
  let last = '';
  model.changed.connect(() => {
    const now: JSONObject = { filter: { ...model.filter }, open: [...model.open] };
    const text = JSON.stringify(now);
    if (text !== last) {
      last = text;
      void state.save(key, now);
    }
  });
}
