// What somebody has to hear of. Rules on logs read lines that the program writes; docs/deployment.md has the same queries.
param location string
param tags object
param stem string
param workspaceId string
param systemTopicId string
@description('Empty: alerts show in the portal only.')
param email string
param oldestSeconds int

// missing: the alert is that the query finds nothing
var rules = [
  {
    name: 'work-waits'
    text: 'Finished uploads wait, and nobody works on them.'
    query: 'AppTraces | where Message startswith "sweep: " | extend report = parse_json(substring(Message, 7)) | where todouble(report.oldest_s) > ${oldestSeconds}'
    missing: false
    severity: 1
    window: 'PT15M'
  }
  {
    name: 'sweep-missing'
    text: 'No sweep for half an hour: what is lost is not found again.'
    query: 'AppTraces | where Message startswith "sweep: "'
    missing: true
    severity: 1
    window: 'PT30M'
  }
  {
    name: 'poison'
    text: 'Somebody gave up on a message; docs/operations.md tells what to do.'
    query: 'StorageQueueLogs | where OperationName == "PutMessage" and StatusCode < 300 and Uri contains "-poison"'
    missing: false
    severity: 2
    window: 'PT15M'
  }
  {
    name: 'held-back'
    text: 'A guard holds work back: no GPU comes, a start is refused, a limit is reached, a scene failed for good.'
    query: 'union isfuzzy=true (AppTraces | project TimeGenerated, Line = Message), (ContainerAppConsoleLogs | project TimeGenerated, Line = Log) | where Line contains "guard."'
    missing: false
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
    skipQueryValidation: true // a table appears with its first line
    autoMitigate: true
    criteria: {
      allOf: [
        {
          query: item.query
          timeAggregation: 'Count'
          operator: item.missing ? 'LessThan' : 'GreaterThan'
          threshold: item.missing ? 1 : 0
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
