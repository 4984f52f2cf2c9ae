// Holds the settings of a viewer page against the package's own validator, with the bounds of its editor.
import { readFileSync } from 'node:fs';
import { validateSettings } from '@playcanvas/supersplat-viewer/settings';

validateSettings(JSON.parse(readFileSync(process.argv[2], 'utf-8')), { limits: true });
console.log('valid');
