import { Dialog, showDialog } from '@jupyterlab/apputils';
import { Widget } from '@lumino/widgets';

/** Lines of text, as the body of a dialog: text, never markup. */
export function says(text: string): Widget {
  const node = document.createElement('div');
  node.className = 'jp-Covalent-says';
  for (const line of text.split('\n')) {
    const paragraph = document.createElement('p');
    paragraph.textContent = line;
    node.append(paragraph);
  }
  return new Widget({ node });
}

/** Asks for a text of several lines; null if it was not given. */
export async function askForText(title: string, text: string, accept: string, reject: string): Promise<string | null> {
  const body = new TextBody(title, text);
  const buttons = [Dialog.cancelButton({ label: reject }), Dialog.okButton({ label: accept })];
  const answer = await showDialog<string>({ title, body, buttons, focusNodeSelector: 'textarea' });
  return answer.button.accept ? answer.value : null;
}

class TextBody extends Widget implements Dialog.IBodyWidget<string> {
  constructor(label: string, text: string) {
    super();
    this.addClass('jp-Covalent-textBody');
    this.area = document.createElement('textarea');
    this.area.setAttribute('aria-label', label);
    this.area.value = text;
    this.area.rows = 6;
    this.area.maxLength = 100_000;
    this.node.append(this.area);
  }

  getValue(): string {
    return this.area.value;
  }

  private readonly area: HTMLTextAreaElement;
}
