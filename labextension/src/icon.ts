import { LabIcon } from '@jupyterlab/ui-components';

import covalentSvg from '../style/icons/covalent.svg';

export const covalentIcon = new LabIcon({
  name: 'covalent-jupyter:covalent',
  svgstr: covalentSvg
});
