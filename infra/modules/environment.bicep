// A Container Apps environment with the GPU profiles. Its logs go by Azure Monitor, which needs no key of the workspace.
param location string
param tags object
param name string
param workspaceId string
@description('Each with name and workloadProfileType. Empty: no GPU.')
param gpuProfiles array
@description('Empty: the platform\'s network.')
param subnetId string
param zoneRedundant bool

// A consumption GPU takes no minimum and maximum count: setting one is refused.
var processors = [{ name: 'Consumption', workloadProfileType: 'Consumption' }]

resource jobs 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: concat(processors, gpuProfiles)
    vnetConfiguration: empty(subnetId) ? null : { infrastructureSubnetId: subnetId, internal: true }
    zoneRedundant: zoneRedundant && !empty(subnetId)
  }
}

resource log 'Microsoft.Insights/diagnosticSettings@2021-05-01-preview' = {
  name: 'logs'
  scope: jobs
  properties: {
    workspaceId: workspaceId
    logs: [{ category: 'ContainerAppConsoleLogs', enabled: true }, { category: 'ContainerAppSystemLogs', enabled: true }]
  }
}

output id string = jobs.id
