// What somebody has to hear of. Rules on logs read lines that the program writes; docs/deployment.md has the same queries.
param location string
param tags object
param stem string
param workspaceId string
param systemTopicId string
@description('Empty: alerts show in the portal only.')
param email string
param oldestSeconds int

// A table is there from its first line on. The first part of each union has the same columns and no line, and isfuzzy leaves out what
// is not there yet: so the service checks the query when the rule is made, in a new workspace too (skipQueryValidation is off).
var traces = 'union isfuzzy=true (datatable(TimeGenerated: datetime, Message: string) []), (AppTraces | project TimeGenerated, Message)'
var lines = 'union isfuzzy=true (datatable(TimeGenerated: datetime, Line: string) []), (AppTraces | project TimeGenerated, Line = Message), (ContainerAppConsoleLogs | project TimeGenerated, Line = Log)'
var writes = 'union isfuzzy=true (datatable(TimeGenerated: datetime, OperationName: string, StatusCode: string, Uri: string) []), (StorageQueueLogs | project TimeGenerated, OperationName, StatusCode, Uri)'

var rules = [
  {
    name: 'work-waits'
    text: 'Finished uploads wait, and nobody works on them.'
    query: '${traces} | where Message startswith "sweep: " | extend report = parse_json(substring(Message, 7)) | where todouble(report.oldest_s) > ${oldestSeconds}'
    severity: 1
    window: 'PT15M'
  }
  {
    name: 'sweep-missing'
    text: 'Sweeps have stopped for half an hour: what is lost is not found again. Never before the first sweep, as the first build takes longer.'
    query: '${traces} | where Message startswith "sweep: " | summarize newest = max(TimeGenerated) | where newest < ago(30m)'
    severity: 1
    window: 'P1D'
  }
  {
    name: 'poison'
    text: 'Somebody gave up on a message; docs/operations.md tells what to do.'
    query: '${writes} | where OperationName == "PutMessage" and toint(StatusCode) < 300 and Uri contains "-poison"' // the code is a text
    severity: 2
    window: 'PT15M'
  }
  {
    name: 'held-back'
    text: 'A guard holds work back: no GPU comes, a start is refused, a limit is reached, a scene failed for good.'
    query: '${lines} | where Line contains "guard."'
    severity: 2
    window: 'PT15M'
  }
]

resource people 'Microsoft.Insights/actionGroups@2023-01-01' = if (!empty(email)) {
  name: 'alerts-${stem}'
  location: 'global'
  tags: tags
  properties: {
    enabled: true
    groupShortName: 'video-splat'
    emailReceivers: [{ name: 'operator', emailAddress: email, useCommonAlertSchema: true }]
  }
}

resource rule 'Microsoft.Insights/scheduledQueryRules@2022-06-15' = [for item in rules: {
  name: '${item.name}-${stem}'
  location: location
  tags: tags
  kind: 'LogAlert'
  properties: {
    displayName: '${item.name} (${stem})'
    description: item.text
    enabled: true
    severity: item.severity
    scopes: [workspaceId]
    evaluationFrequency: 'PT5M'
    windowSize: item.window
    skipQueryValidation: false
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: item.query
          timeAggregation: 'Count'
          operator: 'GreaterThan'
          threshold: 0
          failingPeriods: { numberOfEvaluationPeriods: 1, minFailingPeriodsToAlert: 1 }
        }
      ]
    }
    actions: { actionGroups: empty(email) ? [] : [people.id] }
  }
}]

resource deadLetters 'Microsoft.Insights/metricAlerts@2018-03-01' = [for metric in ['DeadLetteredCount', 'DroppedEventCount']: {
  name: '${metric}-${stem}'
  location: 'global'
  tags: tags
  properties: {
    description: 'Event Grid could not deliver an upload. The sweep finds the upload; the function app needs a look.'
    enabled: true
    severity: 2
    scopes: [systemTopicId]
    evaluationFrequency: 'PT5M'
    windowSize: 'PT15M'
    criteria: {
      'odata.type': 'Microsoft.Azure.Monitor.SingleResourceMultipleMetricCriteria'
      allOf: [
        {
          name: metric
          criterionType: 'StaticThresholdCriterion'
          metricName: metric
          timeAggregation: 'Total'
          operator: 'GreaterThan'
          threshold: 0
        }
      ]
    }
    actions: empty(email) ? [] : [{ actionGroupId: people.id }]
  }
}]
