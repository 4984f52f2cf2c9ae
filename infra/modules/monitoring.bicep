// Logs of everything in one workspace, new or reused; Application Insights without keys in front of it.
param location string
param tags object
param workspaceName string
param workspaceGroupName string
param insightsName string

resource workspace 'Microsoft.OperationalInsights/workspaces@2022-10-01' existing = {
  name: workspaceName
  scope: resourceGroup(workspaceGroupName)
}

resource insights 'Microsoft.Insights/components@2020-02-02' = {
  name: insightsName
  location: location
  tags: tags
  kind: 'web'
  properties: {
    Application_Type: 'web'
    WorkspaceResourceId: workspace.id
    DisableLocalAuth: true
  }
}

output workspaceId string = workspace.id
output workspaceCustomerId string = workspace.properties.customerId
output insightsName string = insights.name
output insightsConnectionString string = insights.properties.ConnectionString
