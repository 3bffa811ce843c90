import { TranslationBundle } from '@jupyterlab/translation';
import { ellipsesIcon, refreshIcon } from '@jupyterlab/ui-components';
import { CommandRegistry } from '@lumino/commands';
import { Menu } from '@lumino/widgets';
import * as React from 'react';

import { CommandIDs } from './commands';
import { dateAndTime, size } from './format';
import { useChanges } from './hooks';
import { openBelow } from './menus';
import { CovalentModel } from './model';
import { ServiceModel } from './service';

interface Props {
  model: CovalentModel;
  service: ServiceModel;
  commands: CommandRegistry;
  trans: TranslationBundle;
}

/** The panel's name, how service and workers are, and what the store takes. */
export function Header(props: Props): JSX.Element {
  const { model, service, commands, trans } = props;
  useChanges(model, service);
  const [menu] = React.useState(() => serviceMenu(commands, trans));
  return (
    <div className="jp-Covalent-header">
      <div className="jp-Covalent-title">
        <h2>{trans.__('Covalent')}</h2>
        <span>
          <button
            className="jp-Covalent-iconButton"
            title={trans.__('Refresh')}
            aria-label={trans.__('Refresh')}
            onClick={() => void commands.execute(CommandIDs.refresh)}
          >
            <refreshIcon.react tag="span" elementSize="normal" />
          </button>
          <button
            className="jp-Covalent-iconButton"
            title={trans.__('Service, cluster, settings')}
            aria-label={trans.__('Service, cluster, settings')}
            aria-haspopup="menu"
            onClick={event => openBelow(menu, event.currentTarget, 'left')}
          >
            <ellipsesIcon.react tag="span" elementSize="normal" />
          </button>
        </span>
      </div>
      <HealthLine {...props} />
    </div>
  );
}

function serviceMenu(commands: CommandRegistry, trans: TranslationBundle): Menu {
  const menu = new Menu({ commands });
  menu.title.label = trans.__('Covalent');
  const { startService, restartService, stopService, restartCluster, showDisk, openSettings } = CommandIDs;
  [startService, restartService, stopService].forEach(command => menu.addItem({ command }));
  menu.addItem({ command: restartCluster });
  menu.addItem({ type: 'separator' });
  menu.addItem({ command: showDisk });
  menu.addItem({ command: openSettings });
  return menu;
}

function HealthLine(props: Props): JSX.Element {
  const { model, service, commands, trans } = props;
  const { tone, words } = health(props);
  const online = model.link === 'online';
  const disk = service.disk;
  return (
    <div className="jp-Covalent-health">
      <span className="jp-Covalent-fact" role="status" aria-label={trans.__('State of the service')} title={detail(props)}>
        <i className={`jp-Covalent-dot jp-mod-${tone}`} />
        {words}
      </span>
      {online && <Workers {...props} />}
      {online && disk && (
        <button
          className={`jp-Covalent-kept ${disk.total > 0.8 * disk.budget ? 'jp-mod-warn' : ''}`}
          title={trans.__('What takes most of it (%1 are free)', size(disk.free))}
          onClick={() => void commands.execute(CommandIDs.showDisk)}
        >
          {trans.__('%1 kept', size(disk.total))}
        </button>
      )}
    </div>
  );
}

function Workers({ service, trans }: Props): JSX.Element | null {
  const executors = service.executors;
  if (executors.length === 0) {
    return null;
  }
  const slots = executors.reduce((sum, executor) => sum + executor.slots, 0);
  const starting = executors.some(executor => executor.state === 'starting');
  const bad = executors.filter(executor => !['ready', 'starting'].includes(executor.state));
  const tone = bad.length > 0 ? 'bad' : starting ? 'warn' : 'good';
  const lines = executors.map(executor => {
    const { name, state, slots, message } = executor;
    const words = trans._n('%2: %3, one electron at a time', '%2: %3, %1 electrons at a time', slots, name, state);
    return message ? `${words}\n${message}` : words;
  });
  return (
    <span className="jp-Covalent-fact" title={lines.join('\n')}>
      <i className={`jp-Covalent-dot jp-mod-${tone}`} />
      {slots === 0 && starting ? trans.__('workers start') : trans._n('%1 worker', '%1 workers', slots)}
    </span>
  );
}

function health({ model, service, trans }: Props): { tone: string; words: string } {
  if (service.doing === 'starting' || (service.doing === '' && model.link === 'starting')) {
    return { tone: 'warn', words: trans.__('service is starting') };
  }
  if (service.doing === 'stopping') {
    return { tone: 'warn', words: trans.__('service is stopping') };
  }
  switch (model.link) {
    case 'loading':
      return { tone: 'quiet', words: trans.__('connecting') };
    case 'stopped':
      return service.problem
        ? { tone: 'bad', words: trans.__('service does not start') }
        : { tone: 'quiet', words: trans.__('service stopped') };
    case 'missing':
      return { tone: 'bad', words: trans.__('server extension missing') };
    case 'unreachable':
      return { tone: 'bad', words: trans.__('Jupyter server does not answer') };
    case 'refused':
      return { tone: 'bad', words: model.problem };
    default:
      return service.health && !service.health.ok
        ? { tone: 'bad', words: service.health.problem || trans.__('service has a problem') }
        : { tone: 'good', words: trans.__('service') };
  }
}

function detail({ model, service, trans }: Props): string {
  const health = service.health;
  if (model.link !== 'online' || !health) {
    return service.problem || model.problem;
  }
  const idle = health.idle_timeout;
  return [
    trans.__('Version %1, process %2 on %3, since %4', health.version, health.pid, health.host, dateAndTime(health.started)),
    trans.__('Store: %1', health.store),
    trans.__('Closing this tab, the notebook or its kernel stops nothing.'),
    health.place_text ? trans.__('It %1.', health.place_text) : '',
    idle > 0 ? trans.__('When nothing runs and nobody looks, it goes after %1 minutes.', Math.round(idle / 60)) : '',
    ...(health.warnings ?? [])
  ]
    .filter(line => line)
    .join('\n');
}
