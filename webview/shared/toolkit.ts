/** VS Code's own controls (webview-ui-toolkit). A view registers those that it uses; the rest is left out of its bundle. */

import { provideVSCodeDesignSystem } from '@vscode/webview-ui-toolkit';

export {
  type Button,
  type Checkbox,
  type Dropdown,
  type RadioGroup,
  type TextField,
  vsCodeBadge,
  vsCodeButton,
  vsCodeCheckbox,
  vsCodeDivider,
  vsCodeDropdown,
  vsCodeLink,
  vsCodeOption,
  vsCodeProgressRing,
  vsCodeRadio,
  vsCodeRadioGroup,
  vsCodeTextArea,
  vsCodeTextField,
} from '@vscode/webview-ui-toolkit';

export function registerControls(
  ...controls: Parameters<ReturnType<typeof provideVSCodeDesignSystem>['register']>
): void {
  provideVSCodeDesignSystem().register(...controls);
}
