import * as React from 'react';

import { Palette, paletteOf } from './paint';

/** The theme's colours, read anew when the theme changes. */
export function usePalette(box: React.RefObject<HTMLElement>): Palette {
  const [palette, setPalette] = React.useState<Palette>(() => paletteOf(document.body));
  React.useLayoutEffect(() => {
    const read = () => box.current && setPalette(paletteOf(box.current));
    read();
    const later = () => window.setTimeout(read, 100); // the theme's sheet comes after its name
    const observer = new MutationObserver(later);
    observer.observe(document.body, {
      attributes: true,
      attributeFilter: ['data-jp-theme-name', 'data-jp-theme-light', 'class']
    });
    return () => observer.disconnect();
  }, []);
  return palette;
}
