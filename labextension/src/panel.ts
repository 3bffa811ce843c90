import { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget, SidePanel } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { Message } from '@lumino/messaging';
import { Panel } from '@lumino/widgets';
import * as React from 'react';

import { Header } from './header';
import { covalentIcon } from './icon';
import { Dispatches } from './list';
import { CovalentModel } from './model';
import { ServiceModel } from './service';
import { View } from './view';

/** The sidebar. It lets its models ask only while somebody can see the answer. */
export class CovalentPanel extends SidePanel {
  constructor(
    readonly model: CovalentModel,
    readonly service: ServiceModel,
    readonly view: View,
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
    const props = { model, service, view, commands, trans };
    this.header.addWidget(ReactWidget.create(React.createElement(Header, props)));
    const list = ReactWidget.create(React.createElement(Dispatches, props));
    list.addClass('jp-Covalent-content');
    this.addWidget(list);
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.model.dispose();
      this.service.dispose();
      super.dispose();
    }
  }

  protected onAfterAttach(msg: Message): void {
    super.onAfterAttach(msg);
    if (this.isVisible) {
      this.begin();
    }
  }

  protected onAfterShow(msg: Message): void {
    super.onAfterShow(msg);
    this.begin();
  }

  protected onBeforeHide(msg: Message): void {
    super.onBeforeHide(msg);
    this.end();
  }

  protected onBeforeDetach(msg: Message): void {
    this.end();
    super.onBeforeDetach(msg);
  }

  protected onActivateRequest(msg: Message): void {
    super.onActivateRequest(msg);
    this.node.querySelector<HTMLElement>('.jp-Covalent-tree, input[type=search]')?.focus();
  }

  private begin(): void {
    this.model.start();
    this.service.start();
    this.service.wake();
  }

  private end(): void {
    this.model.stop();
    this.service.stop();
  }
}
