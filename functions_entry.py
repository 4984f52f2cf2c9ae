"""Entry file of the function app; it only assembles. `PYTHON_SCRIPT_FILE_NAME` names it, because a `function_app.py`
would be shadowed by the package `function_app`.
"""

import azure.functions as func

from function_app import triggers

app = func.FunctionApp()
for part in triggers.chosen():
    app.register_functions(part)
