import { ILayoutRestorer, IRouter, JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ISanitizer, Sanitizer, WidgetTracker } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { ReadonlyJSONObject } from '@lumino/coreutils';
import { Widget } from '@lumino/widgets';

import { CommandIDs } from '../commands';
import { covalentIcon } from '../icon';
import { ISource } from '../source';
import { IFeed } from '../tokens';
import { actionsOf, linkTo } from './actions';
import type { ComparePage } from './compare_widget';
import type { LayoutMemory } from './layout';
import type { DispatchPage } from './widget';

const ADDRESS = /[?&]covalent=([0-9a-f-]{4,36})(?:&|#|$)/;

/** Pages of dispatches and comparisons in the main area. Their code is loaded when the first is opened. */
export const pagePlugin: JupyterFrontEndPlugin<void> = {
  id: 'covalent-jupyter:page',
  description: 'The page of a dispatch, and comparisons of dispatches, in the main area.',
  autoStart: true,
  requires: [IFeed],
  optional: [ITranslator, ILayoutRestorer, IRouter, ISanitizer, IStateDB],
  activate: (
    app: JupyterFrontEnd,
    source: ISource,
    translator: ITranslator | null,
    restorer: ILayoutRestorer | null,
    router: IRouter | null,
    sanitizer: ISanitizer | null,
    state: IStateDB | null
  ) => {
    const trans = (translator ?? nullTranslator).load('covalent_jupyter');
    const actions = () => actionsOf(app.commands, source, sanitizer ?? new Sanitizer(), trans);
    const pages = new WidgetTracker<DispatchPage>({ namespace: 'covalent-jupyter-pages' });
    const comparisons = new WidgetTracker<ComparePage>({ namespace: 'covalent-jupyter-comparisons' });

    let layout: Promise<LayoutMemory> | undefined;

    const openPage = async (args: PageArguments): Promise<void> => {
      const found = pages.find(({ model }) => model.id === args.dispatch_id || model.id.startsWith(args.dispatch_id));
      if (found) {
        found.reveal({ node: args.node, dispatch: args.node_dispatch, tab: args.tab });
        app.shell.activateById(found.id);
        return;
      }
      const { DispatchPage, LayoutMemory } = await import('./widget');
      layout ??= kept(new LayoutMemory(state));
      const page = new DispatchPage(source, args.dispatch_id, trans, actions(), await layout);
      page.reveal({ node: args.node, dispatch: args.node_dispatch, tab: args.tab });
      page.title.label = args.title ?? page.title.label;
      if (!addToMain(app, page, args.restored)) {
        window.open(linkTo(args.dispatch_id, args.node), '_blank');
        return;
      }
      page.stateChanged.connect(() => void pages.save(page));
      page.title.changed.connect(() => void pages.save(page));
      let known = page.model.id;
      page.model.changed.connect(({ id }) => {
        if (id !== known) {
          known = id;
          void pages.save(page);
        }
      });
      await pages.add(page);
    };
    app.commands.addCommand(CommandIDs.openDispatch, {
      label: args => (args.node === undefined ? trans.__('Open Dispatch') : trans.__('Open Electron')),
      caption: trans.__('Open the page of a dispatch'),
      icon: covalentIcon,
      describedBy: { args: PAGE_ARGUMENTS },
      execute: args => openPage(args as unknown as PageArguments)
    });
    app.commands.addCommand(CommandIDs.compare, {
      label: trans.__('Compare Dispatches'),
      caption: trans.__('Inputs, code, results and durations side by side; one dispatch: all runs of its lattice'),
      icon: covalentIcon,
      describedBy: { args: COMPARE_ARGUMENTS },
      execute: async args => {
        const { ComparePage } = await import('./compare_widget');
        const { dispatch_ids = [], lattice = '', title } = args as { dispatch_ids?: string[]; lattice?: string; title?: string };
        const page = new ComparePage(source, dispatch_ids, lattice, trans, actions());
        page.title.label = title ?? page.title.label;
        const found = comparisons.find(({ id }) => id === page.id);
        if (found) {
          page.dispose();
          app.shell.activateById(found.id);
        } else if (addToMain(app, page, args.restored === true)) {
          page.title.changed.connect(() => void comparisons.save(page));
          await comparisons.add(page);
        }
      }
    });
    if (restorer) {
      void restorer.restore(pages, {
        command: CommandIDs.openDispatch,
        args: ({ model, title, state: { tab, chosen } }) => ({
          dispatch_id: model.id,
          tab,
          title: title.label,
          ...(chosen ? { node: chosen.node, node_dispatch: chosen.dispatch } : {}),
          restored: true
        }),
        name: ({ model }) => model.id
      });
      void restorer.restore(comparisons, {
        command: CommandIDs.compare,
        args: ({ dispatches, lattice, title }) => ({
          dispatch_ids: [...dispatches],
          lattice,
          title: title.label,
          restored: true
        }),
        name: ({ id }) => id
      });
    }
    if (router) {
      followLinks(app, router, openPage);
    }
  }
};

/** What was kept is known before the first page is drawn, so that nothing of it moves. */
async function kept(layout: LayoutMemory): Promise<LayoutMemory> {
  await layout.load().catch(() => undefined);
  return layout;
}

interface PageArguments {
  dispatch_id: string;
  node?: number;
  /** The dispatch of the electron, where it is one of a sublattice's run. */
  node_dispatch?: string;
  tab?: string;
  /** What its tab says until the dispatch is known: a restored page asks when it is looked at. */
  title?: string;
  restored?: boolean;
}

/** Whether the main area took the widget: that of Notebook 7 holds one alone. */
function addToMain(app: JupyterFrontEnd, widget: Widget, restored = false): boolean {
  app.shell.add(widget, 'main', { activate: !restored, type: 'Covalent' });
  if (!widget.isAttached && widget.parent === null) {
    widget.dispose();
    return false;
  }
  if (!restored) {
    app.shell.activateById(widget.id);
  }
  return true;
}

/** `lab?covalent=<id>&node=3` opens a page; the address then forgets it. */
function followLinks(app: JupyterFrontEnd, router: IRouter, open: (args: PageArguments) => Promise<void>): void {
  app.commands.addCommand('covalent:follow-link', {
    describedBy: { args: {} },
    execute: async args => {
      const { path, search, hash } = args as unknown as IRouter.ILocation;
      const query = new URLSearchParams(search);
      const dispatch_id = query.get('covalent') ?? '';
      const node = query.get('node');
      query.delete('covalent');
      query.delete('node');
      const rest = query.toString();
      router.navigate(`${path}${rest && `?${rest}`}${hash ?? ''}`, { skipRouting: true });
      await app.restored;
      await open({ dispatch_id, node: node === null ? undefined : Number(node) });
    }
  });
  router.register({ command: 'covalent:follow-link', pattern: ADDRESS });
}

const PAGE_ARGUMENTS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    dispatch_id: { type: 'string', description: 'Id of a dispatch, or a unique prefix of at least four characters' },
    node: { type: 'integer', description: 'An electron to show' },
    node_dispatch: { type: 'string', description: "The electron's dispatch, where it is a sublattice's run" },
    tab: { type: 'string', description: 'graph, electrons, timeline, logs, errors, source or versions' }
  },
  required: ['dispatch_id']
};

const COMPARE_ARGUMENTS: ReadonlyJSONObject = {
  type: 'object',
  properties: {
    dispatch_ids: { type: 'array', items: { type: 'string' }, description: 'Whole ids of dispatches' },
    lattice: { type: 'string', description: 'Instead: the name of a lattice, for the table of its runs' }
  }
};
