import { ReactWidget, SidePanel } from '@jupyterlab/ui-components';
import { TranslationBundle } from '@jupyterlab/translation';
import { CommandRegistry } from '@lumino/commands';
import { Message } from '@lumino/messaging';
import { Panel } from '@lumino/widgets';
import * as React from 'react';

import { Header } from './header';
import { covalentIcon } from './icon';
import { Dispatches } from './list';
import { CovalentModel } from './model';

/** The sidebar. It lets its model ask only while somebody can see the answer. */
export class CovalentPanel extends SidePanel {
  constructor(
    readonly model: CovalentModel,
    commands: CommandRegistry,
    trans: TranslationBundle
  ) {
    super({ content: new Panel() });
    this.id = 'covalent-jupyter:panel';
    this.title.icon = covalentIcon;
    this.title.caption = trans.__('Covalent: dispatches');
    this.addClass('jp-Covalent');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Covalent dispatches'));
    const props = { model, commands, trans };
    this.header.addWidget(ReactWidget.create(React.createElement(Header, props)));
    const list = ReactWidget.create(React.createElement(Dispatches, props));
    list.addClass('jp-Covalent-content');
    this.addWidget(list);
    document.addEventListener('visibilitychange', this._onVisibility);
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    document.removeEventListener('visibilitychange', this._onVisibility);
    this.model.dispose();
    super.dispose();
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    this._onVisibility();
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this._onVisibility();
  }

  protected onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this.model.stop();
  }

  protected onBeforeDetach(msg: Message): void {
    this.model.stop();
    super.onBeforeDetach(msg);
  }

  private readonly _onVisibility = (): void => {
    if (this.isVisible && document.visibilityState !== 'hidden') {
      this.model.start();
    } else {
      this.model.stop();
    }
  };
}
