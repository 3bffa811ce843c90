import { Menu } from '@lumino/widgets';

/** Opens a menu below its button, which has the keyboard again when it is closed. */
export function openBelow(menu: Menu, button: HTMLElement, side: 'left' | 'right'): void {
  const { left, right, bottom } = button.getBoundingClientRect();
  const back = () => {
    menu.aboutToClose.disconnect(back);
    button.focus();
  };
  menu.aboutToClose.connect(back);
  menu.open(side === 'left' ? left : right, bottom, { horizontalAlignment: side });
}
