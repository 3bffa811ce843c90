import { CommandRegistry } from '@lumino/commands';
import { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { CommandIDs } from './commands';
import { dateAndTime } from './format';
import { useModel } from './hooks';
import { CovalentModel } from './model';

interface Props {
  model: CovalentModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

/** The panel's name, and how the service is. */
export function Header({ model, commands, trans }: Props): JSX.Element {
  useModel(model);
  return (
    <div className="jp-Covalent-header">
      <div className="jp-Covalent-title">
        <span>{trans.__('Covalent')}</span>
        <button
          className="jp-Covalent-iconButton"
          title={trans.__('Refresh')}
          aria-label={trans.__('Refresh')}
          onClick={() => void commands.execute(CommandIDs.refresh)}
        >
          <refreshIcon.react tag="span" elementSize="normal" />
        </button>
      </div>
      <HealthLine model={model} trans={trans} />
    </div>
  );
}

function HealthLine({ model, trans }: Omit<Props, 'commands'>): JSX.Element {
  const { tone, words } = health(model, trans);
  return (
    <div className="jp-Covalent-health" role="status" title={detail(model, trans)}>
      <span className={`jp-Covalent-dot jp-mod-${tone}`} />
      <span>{words}</span>
      {model.link === 'online' && model.health && (
        <span className="jp-Covalent-mute">v{model.health.version}</span>
      )}
    </div>
  );
}

function health(model: CovalentModel, trans: TranslationBundle): { tone: string; words: string } {
  switch (model.link) {
    case 'loading':
      return { tone: 'quiet', words: trans.__('connecting') };
    case 'starting':
      return { tone: 'warn', words: trans.__('service is starting') };
    case 'missing':
      return { tone: 'bad', words: trans.__('server extension missing') };
    case 'unreachable':
      return { tone: 'bad', words: trans.__('Jupyter server does not answer') };
    case 'refused':
      return { tone: 'bad', words: model.problem };
    default:
      return model.health && !model.health.ok
        ? { tone: 'warn', words: model.health.problem || trans.__('service has a problem') }
        : { tone: 'good', words: trans.__('service') };
  }
}

function detail(model: CovalentModel, trans: TranslationBundle): string {
  const health = model.health;
  if (model.link !== 'online' || !health) {
    return model.problem;
  }
  return [
    trans.__('Store: %1', health.store),
    trans.__('Process %1 on %2, since %3', health.pid, health.host, dateAndTime(health.started)),
    ...(health.warnings ?? [])
  ].join('\n');
}
