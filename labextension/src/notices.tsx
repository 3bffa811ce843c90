import { Clipboard } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { CovalentModel } from './model';

const ENABLE = 'jupyter server extension enable covalent_jupyter';

const EXAMPLE = `import covalent_jupyter as ct

@ct.electron
def square(x):
    return x * x

@ct.lattice
def squares(n):
    return [square(i)
            for i in range(n)]

ct.dispatch(squares)(4)`;

interface Props {
  model: CovalentModel;
  trans: TranslationBundle;
}

/** What stands where the list would be when there is none: why, and the one useful action. */
export function Notice({ model, trans }: Props): JSX.Element {
  switch (model.link) {
    case 'loading':
      return <Words>{trans.__('Looking for dispatches…')}</Words>;
    case 'starting':
      return (
        <Words>
          <p>{trans.__('The service is starting. This takes a few seconds; the list appears by itself.')}</p>
          <p className="jp-Covalent-mute">{model.problem}</p>
        </Words>
      );
    case 'missing':
      return (
        <Words>
          <p>{trans.__('This Jupyter server does not know Covalent. In its environment, run')}</p>
          <Code text={ENABLE} trans={trans} />
          <p>{trans.__('and start the server again.')}</p>
          <Again model={model} trans={trans} />
        </Words>
      );
    case 'unreachable':
    case 'refused':
      return (
        <Words>
          <p>
            {model.link === 'refused'
              ? trans.__('The server refused to answer.')
              : trans.__('The Jupyter server does not answer. Dispatches go on without it.')}
          </p>
          <p className="jp-Covalent-mute">{model.problem}</p>
          <Again model={model} trans={trans} />
        </Words>
      );
    default:
      return model.totals.all > 0 ? (
        <Words>
          <p>{trans.__('No dispatch matches.')}</p>
          <button
            className="jp-Covalent-button"
            onClick={() => model.setFilter({ text: '', state: 'all' })}
          >
            {trans.__('Show all')}
          </button>
        </Words>
      ) : (
        <Words>
          <p>{trans.__('Nothing was dispatched yet. Try this in a notebook:')}</p>
          <Code text={EXAMPLE} trans={trans} />
        </Words>
      );
  }
}

function Words({ children }: { children: React.ReactNode }): JSX.Element {
  return <div className="jp-Covalent-notice">{children}</div>;
}

function Again({ model, trans }: Props): JSX.Element {
  return (
    <button className="jp-Covalent-button" onClick={() => model.refresh()}>
      {trans.__('Try again')}
    </button>
  );
}

function Code({ text, trans }: { text: string; trans: TranslationBundle }): JSX.Element {
  const [copied, setCopied] = React.useState(false);
  const copy = () => {
    Clipboard.copyToSystem(text);
    setCopied(true);
  };
  return (
    <>
      <pre>{text}</pre>
      <button className="jp-Covalent-button" onClick={copy} onBlur={() => setCopied(false)}>
        {copied ? trans.__('Copied') : trans.__('Copy')}
      </button>
    </>
  );
}
