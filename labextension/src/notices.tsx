import { Clipboard } from '@jupyterlab/apputils';
import { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ListProps } from './list';

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

interface Props extends Pick<ListProps, 'model' | 'service' | 'trans'> {
  /** One line above a list that is still there. */
  brief?: boolean;
}

/** What stands where the list would be when there is none: why, and the one useful action. */
export function Notice(props: Props): JSX.Element | null {
  return props.brief ? <Brief {...props} /> : <Whole {...props} />;
}

/** The list may be old: what is wrong. */
function Brief({ model, service, trans }: Props): JSX.Element | null {
  switch (model.link) {
    case 'stopped':
      return service.doing ? null : (
        <div className="jp-Covalent-brief" role="status">
          <span>{service.problem || trans.__('The service is stopped; the list may be old.')}</span>
          <Start service={service} trans={trans} />
        </div>
      );
    case 'unreachable':
    case 'refused':
      return (
        <div className="jp-Covalent-brief" role="status">
          <span>
            {model.link === 'refused'
              ? model.problem
              : trans.__('The Jupyter server does not answer; the list may be old. What runs goes on.')}
          </span>
          <Again service={service} trans={trans} />
        </div>
      );
    default:
      return null;
  }
}

function Whole(props: Props): JSX.Element {
  const { model, service, trans } = props;
  switch (model.link) {
    case 'loading':
      return model.problem ? (
        <Words>
          <p>{trans.__('The list cannot be read.')}</p>
          <p className="jp-Covalent-mute">{model.problem}</p>
          <Again service={service} trans={trans} />
        </Words>
      ) : (
        <Words>{trans.__('Looking for dispatches…')}</Words>
      );
    case 'starting':
      return <Starting problem={model.problem} trans={trans} />;
    case 'stopped':
      return <Stopped {...props} />;
    case 'missing':
      return (
        <Words>
          <p>{trans.__('This Jupyter server does not know Covalent. In its environment, run')}</p>
          <Code text={ENABLE} trans={trans} />
          <p>{trans.__('and start the server again.')}</p>
          <Again service={service} trans={trans} />
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
          <Again service={service} trans={trans} />
        </Words>
      );
    default:
      return <Empty {...props} />;
  }
}

function Starting({ problem, trans }: { problem: string; trans: TranslationBundle }): JSX.Element {
  return (
    <Words>
      <p>{trans.__('The service is starting. This takes a few seconds; the list appears by itself.')}</p>
      {problem && <p className="jp-Covalent-mute">{problem}</p>}
    </Words>
  );
}

function Stopped({ service, trans }: Props): JSX.Element {
  if (service.doing === 'starting') {
    return <Starting problem="" trans={trans} />;
  }
  return (
    <Words>
      {service.problem ? (
        <>
          <p>{trans.__('The service cannot be started.')}</p>
          <p className="jp-Covalent-mute">{service.problem}</p>
        </>
      ) : (
        <p>{trans.__('The service is stopped. It starts by itself when something is dispatched.')}</p>
      )}
      <Start service={service} trans={trans} />
    </Words>
  );
}

function Empty({ model, trans }: Props): JSX.Element {
  return model.isFiltered || model.totals.all > 0 ? (
    <Words>
      <p>{trans.__('No dispatch matches.')}</p>
      <button className="jp-Covalent-button" onClick={() => model.showAll()}>
        {trans.__('Show All')}
      </button>
    </Words>
  ) : (
    <Words>
      <p>{trans.__('Nothing was dispatched yet. Try this in a notebook:')}</p>
      <Code text={EXAMPLE} trans={trans} />
    </Words>
  );
}

function Words({ children }: { children: React.ReactNode }): JSX.Element {
  return (
    <div className="jp-Covalent-notice" role="status">
      {children}
    </div>
  );
}

function Again({ service, trans }: Pick<Props, 'service' | 'trans'>): JSX.Element {
  return (
    <button className="jp-Covalent-button" onClick={() => service.feed.refresh()}>
      {trans.__('Try Again')}
    </button>
  );
}

function Start({ service, trans }: Pick<Props, 'service' | 'trans'>): JSX.Element {
  return (
    <button className="jp-Covalent-button" onClick={() => service.startService().catch(() => undefined)}>
      {trans.__('Start')}
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
