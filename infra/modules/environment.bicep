// The Container Apps environment with the GPU profile. Its logs go by Azure Monitor, which needs no key of the workspace.
param location string
param tags object
param name string
param workspaceId string
@description('Empty: no GPU.')
param gpuProfileName string
param gpuProfileType string
@description('Empty: the platform\'s network.')
param subnetId string
param zoneRedundant bool

// A consumption GPU takes no minimum and maximum count: setting one is refused.
var processors = [{ name: 'Consumption', workloadProfileType: 'Consumption' }]
var gpus = empty(gpuProfileName) ? [] : [{ name: gpuProfileName, workloadProfileType: gpuProfileType }]

resource jobs 'Microsoft.App/managedEnvironments@2024-03-01' = {
  name: name
  location: location
  tags: tags
  properties: {
    appLogsConfiguration: { destination: 'azure-monitor' }
    workloadProfiles: concat(processors, gpus)
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
