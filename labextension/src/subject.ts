import { Widget } from '@lumino/widgets';

/** Where the main area lies, in JupyterLab and in Notebook 7. */
const MAIN = '#jp-main-dock-panel, #main-panel';

/**
 * What commands without arguments are about: what is selected in the sidebar, or the dispatch whose page is in front,
 * whichever was used last. Menus, dialogs and the palette, which take the focus meanwhile, do not count.
 */
export class Subject {
  constructor(
    private readonly panel: Widget,
    private readonly selected: () => Iterable<string>,
    private readonly front: () => string | null
  ) {
    document.addEventListener('pointerdown', this._onUse, true);
    document.addEventListener('focusin', this._onUse, true);
  }

  get ids(): string[] {
    const front = this._inPanel ? null : this.front();
    return front === null ? [...this.selected()] : [front];
  }

  private readonly _onUse = ({ target }: Event): void => {
    if (target instanceof Element) {
      this._inPanel = this.panel.node.contains(target) || (this._inPanel && target.closest(MAIN) === null);
    }
  };

  private _inPanel = false;
}

/** The dispatch whose page a widget is. */
export function dispatchOf(widget: Widget | null): string | null {
  const { model } = (widget ?? {}) as { model?: { id?: unknown } };
  return widget?.hasClass('jp-CovalentPage') && typeof model?.id === 'string' ? model.id : null;
}
