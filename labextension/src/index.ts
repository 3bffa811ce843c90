import { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';

import { Feed } from './feed';
import { outputPlugin } from './output/plugin';
import { pagePlugin } from './page/plugin';
import { notificationPlugin, runningPlugin, statusPlugin, watcherPlugin } from './running';
import { sidebarPlugin } from './sidebar';
import { ISource } from './source';
import { IFeed } from './tokens';

/** The connection that all parts share. */
const feedPlugin: JupyterFrontEndPlugin<ISource> = {
  id: 'covalent-jupyter:feed',
  description: 'The connection of this browser page to the Covalent service.',
  autoStart: true,
  provides: IFeed,
  activate: (app: JupyterFrontEnd) => new Feed(app.serviceManager.serverSettings)
};

export default [
  feedPlugin,
  sidebarPlugin,
  watcherPlugin,
  runningPlugin,
  statusPlugin,
  notificationPlugin,
  pagePlugin,
  outputPlugin
];
