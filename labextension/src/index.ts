import { ILayoutRestorer, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, Notification } from '@jupyterlab/apputils';
import { ITranslator, nullTranslator, TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import { ReadonlyJSONObject } from '@lumino/coreutils';

import { CommandIDs } from './commands';
import { Feed } from './feed';
import { covalentIcon } from './icon';
import { CovalentModel } from './model';
import { pagePlugin } from './page/plugin';
import { CovalentPanel } from './panel';
import { ISource, messageOf } from './source';
import { IFeed } from './tokens';

/** The connection that all parts share. */
const feedPlugin: JupyterFrontEndPlugin<ISource> = {
  id: 'covalent-jupyter:feed',
  description: 'The connection of this browser page to the Covalent service.',
  autoStart: true,
  provides: IFeed,
  activate: (app: JupyterFrontEnd) => new Feed(app.serviceManager.serverSettings)
};

/** The sidebar. Every token is optional, so that it loads in Notebook 7 too. */
const plugin: JupyterFrontEndPlugin<void> = {
  id: 'covalent-jupyter:plugin',
  description: 'The list of dispatches in the left sidebar.',
  autoStart: true,
  optional: [ITranslator, ICommandPalette, ILayoutRestorer],
  activate: (
    app: JupyterFrontEnd,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    restorer: ILayoutRestorer | null
  ) => {
    const trans = (translator ?? nullTranslator).load('covalent_jupyter');
    const model = new CovalentModel(app.serviceManager.serverSettings);
    const panel = new CovalentPanel(model, app.commands, trans);
    addCommands(app, panel, trans);
    const category = trans.__('Covalent');
    palette?.addItem({ command: CommandIDs.showDispatches, category });
    palette?.addItem({ command: CommandIDs.refresh, category });
    app.shell.add(panel, 'left', { rank: 300, type: 'Covalent' });
    restorer?.add(panel, panel.id);
  }
};

function addCommands(app: JupyterFrontEnd, panel: CovalentPanel, trans: TranslationBundle): void {
  const { commands } = app;
  const model = panel.model;
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
      if (panel.isVisible) {
        model.refresh();
      } else {
        app.shell.activateById(panel.id);
      }
    }
  });
  commands.addCommand(CommandIDs.cancel, {
    label: trans.__('Cancel Dispatch'),
    caption: trans.__('Stop what runs of a dispatch, and start nothing more of it'),
    describedBy: { args: ONE_DISPATCH },
    execute: async args => {
      try {
        await model.cancel(String(args.dispatch_id));
      } catch (error) {
        Notification.error(trans.__('The dispatch was not cancelled: %1', messageOf(error)));
      }
    }
  });
  commands.addCommand(CommandIDs.copyId, {
    label: trans.__('Copy Dispatch Id'),
    caption: trans.__('Copy the whole id of a dispatch'),
    describedBy: { args: ONE_DISPATCH },
    execute: args => Clipboard.copyToSystem(String(args.dispatch_id))
  });
}

const NO_ARGUMENTS: ReadonlyJSONObject = { type: 'object', properties: {} };

const ONE_DISPATCH: ReadonlyJSONObject = {
  type: 'object',
  properties: { dispatch_id: { type: 'string', description: 'The whole id of a dispatch' } },
  required: ['dispatch_id']
};

export default [feedPlugin, plugin, pagePlugin];
