// Parses and type-checks queries with Kusto's own language service, against the columns of tables.json.
//
//     node check.js PACKAGE_FOLDER < queries.json > findings.json
//
// queries.json: {name: text}; findings.json: {name: ["Error 12-16 KS204: ..."]}, empty where nothing was found.
'use strict';
const fs = require('fs');
const path = require('path');

const folder = process.argv[2];
require(path.join(folder, 'bridge.min.js')); // defines Bridge, System and, with the next one, Kusto
require(path.join(folder, 'Kusto.Language.Bridge.min.js'));
const { GlobalState, KustoCode, Symbols } = globalThis.Kusto.Language;

const published = JSON.parse(fs.readFileSync(path.join(__dirname, 'tables.json'), 'utf8')).tables;
const tables = Object.entries(published).map(([name, columns]) => {
  const schema = Object.entries(columns).map(([column, type]) => `['${column}']: ${type}`).join(', ');
  return new Symbols.TableSymbol.$ctor7(name, `(${schema})`, null);
});
const workspace = new Symbols.DatabaseSymbol.ctor('workspace', tables);
const globals = GlobalState.Default.WithDatabase(workspace);

const findings = {};
for (const [name, text] of Object.entries(JSON.parse(fs.readFileSync(0, 'utf8')))) {
  const found = KustoCode.ParseAndAnalyze(text, globals).GetDiagnostics();
  findings[name] = [];
  for (let at = 0; at < found.Count; at += 1) {
    const item = found.getItem(at);
    findings[name].push(`${item.Severity} ${item.Start}-${item.End} ${item.Code}: ${item.Message}`);
  }
}
process.stdout.write(JSON.stringify(findings));
