// Logs of everything in one workspace; Application Insights without keys in front of it.
param location string
param tags object
param workspaceName string
@description('Empty: a workspace is made.')
param existingWorkspaceName string
param existingWorkspaceGroupName string
param insightsName string

var reuse = !empty(existingWorkspaceName)

resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' = if (!reuse) {
  name: workspaceName
  location: location
  tags: tags
  properties: {
    sku: { name: 'PerGB2018' }
    retentionInDays: 30
    features: { disableLocalAuth: true }
  }
}

resource reused 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = if (reuse) {
  name: existingWorkspaceName
  scope: resourceGroup(existingWorkspaceGroupName)
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: reuse ? reused.id : workspace.id
    DisableLocalAuth: true
  }
}

output workspaceId string = reuse ? reused.id : workspace.id
output workspaceCustomerId string = reuse ? reused.properties.customerId : workspace.properties.customerId
output insightsName string = insights.name
output insightsConnectionString string = insights.properties.ConnectionString
